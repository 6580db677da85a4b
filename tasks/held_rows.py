"""Rows that the gate holds back, after somebody mended what was wrong: apply their events again, or say that they are
no sale at all."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from adapters.database import in_transaction, unit_of_work
from inventory.channels import channel_state
from inventory.incidents import resolve_incidents
from inventory.orders import inbox
from inventory.people.operation_log import Done, check_words, note_operation, was_done
from inventory.people.raci import Action
from inventory.publishing.gate_log import open_rows
from inventory.words import IncidentKind
from tasks.permission import Request
from tasks.runtime import Runtime
from tasks.selling.apply import SUITE, apply_events

MOST_ROWS = 5000


class NoSuchRows(ValueError):
    """Nothing is held back under these keys. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Held:
    row_key: str
    reason: str
    inbox_id: int | None


@dataclass(slots=True)
class RowsReport:
    channel: str
    asked: int = 0
    applied: int = 0
    """Rows that are in the ledger now."""
    still: list[Held] = field(default_factory=list)
    """Those that the gate holds back again, with the reason it has now, or that wait for a blocked batch."""
    without_event: list[str] = field(default_factory=list)
    """Keys of rows that came as no event: a page could not be read. The next sound version of the order ends them."""
    dismissed: int = 0


def held_rows(connection: Connection, channel: str, keys: Sequence[str]) -> list[Held]:
    """The channel's open rows with these keys (none given: all). Raises UnknownChannel, NoSuchRows."""
    channel_state(connection, channel)
    wanted = sorted({key.strip() for key in keys if key.strip()})
    if any("\x00" in key for key in wanted):
        raise NoSuchRows("a key cannot hold that character. Nothing was changed")
    rows = connection.execute(
        text(
            "SELECT row_key, reason, inbox_id FROM quarantined_row WHERE suite = :suite AND channel = :channel "
            "AND status = 'open' AND (:all OR row_key = ANY(:keys)) ORDER BY row_key LIMIT :most"
        ),
        {"suite": SUITE, "channel": channel, "all": not wanted, "keys": wanted, "most": MOST_ROWS},
    )
    found = [Held(row.row_key, row.reason, row.inbox_id) for row in rows]
    missing = [key for key in wanted if key not in {one.row_key for one in found}]
    if missing:
        raise NoSuchRows(f"{channel} holds nothing back as {', '.join(missing[:10])}. Nothing was changed")
    if not found:
        raise NoSuchRows(f"nothing of {channel} is held back. Nothing was changed")
    return found


def propose_rows(
    runtime: Runtime, channel: str, keys: Sequence[str], *, dismiss: bool, actor: str, reason: str, request_key: str
) -> Request | None:
    """None: this request was done before. Changes nothing."""
    check_words(name=actor, reason=reason)
    with unit_of_work(runtime.engine) as connection:
        if was_done(connection, request_key):
            return None
        rows = held_rows(connection, channel, keys)
    what = "declared to be no sale" if dismiss else "applied again"
    shown = ", ".join(row.row_key for row in rows[:5]) + (", …" if len(rows) > 5 else "")
    return Request(
        Action.DISMISS_ROWS if dismiss else Action.RELEASE_QUARANTINE,
        channel,
        f"{len(rows)} rows of {channel} are {what}: {shown}",
        actor,
        reason,
        # Rows are applied through the gate; there are no units to be held against a limit.
        len(rows) if dismiss else 0,
        None,
        {"rows": [row.row_key for row in rows]},
    )


def apply_rows_again(runtime: Runtime, request: Request, *, approved_by: str, request_key: str) -> RowsReport:
    """Through the gate once more: what it still finds unfit is held back as before, with today's reason."""
    channel, keys = request.subject, list(request.detail["rows"])
    report = RowsReport(channel, asked=len(keys))

    def work(connection: Connection) -> None:
        rows = connection.execute(
            text("SELECT row_key, inbox_id FROM quarantined_row WHERE suite = :suite AND row_key = ANY(:keys)"),
            {"suite": SUITE, "keys": keys},
        ).all()
        report.without_event = sorted(row.row_key for row in rows if row.inbox_id is None)
        inbox.reopen(connection, {row.inbox_id for row in rows if row.inbox_id is not None})
        _note(connection, runtime, request, approved_by, request_key, {"rows": keys})

    in_transaction(runtime.engine, work)
    with unit_of_work(runtime.engine) as connection:
        state = channel_state(connection, channel)
    apply_events(runtime, state)
    with unit_of_work(runtime.engine) as connection:
        rows = connection.execute(
            text(
                "SELECT row_key, reason, inbox_id FROM quarantined_row WHERE suite = :suite AND status = 'open' "
                "AND inbox_id IS NOT NULL AND row_key = ANY(:keys) ORDER BY row_key"
            ),
            {"suite": SUITE, "keys": keys},
        ).all()
    report.still = [Held(row.row_key, row.reason, row.inbox_id) for row in rows]
    report.applied = len(keys) - len(report.still) - len(report.without_event)
    return report


def dismiss_rows(runtime: Runtime, request: Request, *, approved_by: str, request_key: str) -> RowsReport:
    """They are no sale: the exposure of their listings may fall again. A later version of the order is looked at."""
    channel, keys = request.subject, list(request.detail["rows"])

    def work(connection: Connection) -> int:
        now = runtime.now()
        ended = connection.execute(
            text(
                "UPDATE quarantined_row SET status = 'dismissed', last_at = :now "
                "WHERE suite = :suite AND status = 'open' AND row_key = ANY(:keys)"
            ),
            {"suite": SUITE, "keys": keys, "now": now},
        ).rowcount
        if open_rows(connection, SUITE, channel) == 0:
            resolve_incidents(connection, IncidentKind.QUARANTINED_ROWS, [channel], now=now)
        _note(connection, runtime, request, approved_by, request_key, {"rows": keys, "dismissed": ended})
        return ended

    return RowsReport(channel, asked=len(keys), dismissed=in_transaction(runtime.engine, work))


def _note(
    connection: Connection,
    runtime: Runtime,
    request: Request,
    approved_by: str,
    request_key: str,
    detail: dict[str, object],
) -> None:
    done = Done(request_key, request.action.value, request.subject, request.actor, request.reason, approved_by, detail)
    note_operation(connection, done, now=runtime.now())


def as_rows(report: RowsReport) -> list[dict[str, object]]:
    held: list[dict[str, object]] = [
        {"row": one.row_key, "what": "held back again", "why": one.reason} for one in report.still
    ]
    waiting: list[dict[str, object]] = [
        {"row": key, "what": "waits", "why": "its page could not be read; the order's next version ends it"}
        for key in report.without_event
    ]
    return [*held, *waiting, {"row": f"{report.applied} of {report.asked}", "what": "in the ledger", "why": ""}]
