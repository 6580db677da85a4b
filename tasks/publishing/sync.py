"""Pull and publish chosen SKUs or channels now, instead of when it is their turn."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from adapters.database import in_transaction, unit_of_work
from adapters.http import ChannelFault
from adapters.wakeups import PUBLISH, wake
from inventory.channels import channel_state
from inventory.goods.adjustments import AdjustmentError
from inventory.naming import naming
from inventory.people.operation_log import Done, check_words, note_operation
from inventory.people.raci import Action
from inventory.publishing.availability import connected_skus
from inventory.publishing.outbox import mark_dirty
from tasks.permission import Request
from tasks.publishing.publish import PublishReport, publish
from tasks.runtime import Runtime
from tasks.selling.pull import pull

MOST_SKUS = 2000
PASSES = 20
"""Of the publisher: a lowering that makes room for a raise takes two, a throttled channel more."""


class NothingToSync(ValueError):
    """The form names nothing that there is. Nothing was done."""


@dataclass(frozen=True, slots=True)
class SyncScope:
    channels: tuple[str, ...]
    """Whose orders are read."""
    skus: tuple[str, ...]
    """Whose listings are published, on every channel."""


@dataclass(slots=True)
class SyncReport:
    scope: SyncScope
    pulled: dict[str, str] = field(default_factory=dict)
    """{channel: what came of its pull}"""
    passes: list[PublishReport] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    """SKUs of the scope that are still to be published: a channel is away, throttled, or holds a number in doubt."""

    @property
    def sent(self) -> list[dict[str, object]]:
        return [row for one in self.passes for row in one.rows]


def scope_of(runtime: Runtime, channel: str, skus: Sequence[str]) -> SyncScope:
    """A channel: it is pulled, and all that it lists is published. SKUs: every channel that sells them is pulled. Both:
    those SKUs, and that channel is pulled. Raises UnknownChannel, AdjustmentError, NothingToSync."""
    wanted = sorted({one.strip() for one in skus if one.strip()})
    if not wanted and not channel:
        raise NothingToSync("name a channel, or SKUs. Nothing was done")
    if len(wanted) > MOST_SKUS:
        raise NothingToSync(f"{len(wanted)} SKUs are more than {MOST_SKUS}: name the channel. Nothing was done")
    with unit_of_work(runtime.engine) as connection:
        if channel:
            channel_state(connection, channel)
        names = naming(connection)
        found = {one: names.resolve(one).sku for one in wanted}
        unknown = [ascii(one)[:80] for one, sku in found.items() if sku is None]
        if unknown:
            raise AdjustmentError(f"not in the ledger: {', '.join(unknown[:10])}. Nothing was done")
        chosen = {sku for sku in found.values() if sku is not None} or _listed(connection, channel)
        if not chosen:
            raise NothingToSync(f"{channel} lists nothing that is mapped: import_listings. Nothing was done")
        channels = {channel} if channel else _selling(connection, chosen)
    return SyncScope(tuple(sorted(channels)), tuple(sorted(chosen)))


def _listed(connection: Connection, channel: str) -> set[str]:
    rows = connection.execute(text("SELECT DISTINCT sku FROM listing WHERE channel = :code"), {"code": channel})
    return {row.sku for row in rows}


def _selling(connection: Connection, skus: set[str]) -> set[str]:
    rows = connection.execute(
        text("SELECT DISTINCT channel FROM listing WHERE sku = ANY(:skus)"),
        {"skus": sorted(connected_skus(connection, skus))},
    )
    return {row.channel for row in rows}


def request_for(scope: SyncScope, *, actor: str, reason: str) -> Request:
    """Raises UnfitWords."""
    check_words(name=actor, reason=reason)
    shown = ", ".join(scope.skus[:5]) + (", …" if len(scope.skus) > 5 else "")
    return Request(
        Action.SYNC_NOW,
        ", ".join(scope.channels) or "nothing",
        f"pull {', '.join(scope.channels) or 'no channel'} and publish {len(scope.skus)} SKUs: {shown}",
        actor,
        reason,
    )


def sync(runtime: Runtime, scope: SyncScope, request: Request, *, approved_by: str, request_key: str) -> SyncReport:
    """A channel that cannot be read is named; what can be done is done. Beside the publisher that runs anyway: a SKU is
    worked on by whoever has claimed it."""
    report = SyncReport(scope)
    for code in scope.channels:
        try:
            pulled = pull(runtime, code)
            report.pulled[code] = f"{pulled.documents} orders read, {pulled.stored} new" + (
                f", {pulled.applied.blocked} wait for a decision" if pulled.applied.blocked else ""
            )
        except ChannelFault as fault:
            report.pulled[code] = f"cannot be read: {fault}"

    def mark(connection: Connection) -> None:
        now = runtime.now()
        mark_dirty(connection, scope.skus, now=now)
        detail: dict[str, Any] = {"channels": list(scope.channels), "skus": list(scope.skus[:100])}
        done = Done(
            request_key, request.action.value, request.subject, request.actor, request.reason, approved_by, detail
        )
        note_operation(connection, done, now=now)

    in_transaction(runtime.engine, mark)
    wake(runtime.engine, PUBLISH)
    for _ in range(PASSES):
        report.passes.append(publish(runtime, limit=max(100, len(scope.skus))))
        report.waiting = _waiting(runtime, scope)
        if not report.waiting or not report.passes[-1].claimed:
            break
    return report


def _waiting(runtime: Runtime, scope: SyncScope) -> list[str]:
    with unit_of_work(runtime.engine) as connection:
        rows = connection.execute(
            text("SELECT sku FROM outbox WHERE sku = ANY(:skus) ORDER BY sku"), {"skus": list(scope.skus)}
        )
        return [row.sku for row in rows]
