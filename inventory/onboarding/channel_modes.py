"""A channel's mode: shadow (read only), dry run (computes and shows, sends nothing), live.

The mode in the ledger is the truth; `channels.toml` only says with which one a channel begins. A person changes it,
with name and reason, and a channel goes live only when what it will be sent can be right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, text

from inventory.channels import channel_state
from inventory.publishing.outbox import mark_dirty
from inventory.words import ChannelMode, FindingKind, FindingSeverity

AUDIT_AGE = timedelta(days=7)
"""A catalogue audit is believed for so long."""


@dataclass(frozen=True, slots=True)
class Check:
    what: str
    ok: bool
    found: str
    advice: str


@dataclass(frozen=True, slots=True)
class ModeChange:
    channel: str
    before: ChannelMode
    mode: ChannelMode
    """What it is now: `before` when something is missing."""
    checks: tuple[Check, ...]

    @property
    def missing(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.ok)


_FACTS = text(
    """
    SELECT channel.mode, channel.pulled_at, channel.audited_at,
           (SELECT count(*) FROM listing WHERE listing.channel = channel.code) AS listings,
           (SELECT max(mapped_at) FROM listing WHERE listing.channel = channel.code) AS mapped_at,
           (SELECT count(*) FROM listing WHERE listing.channel = channel.code AND observed_at IS NULL) AS unread,
           (SELECT count(*) FROM catalogue_finding AS found WHERE found.channel = channel.code
               AND found.status = 'open' AND found.severity = :blocker) AS blockers,
           (SELECT count(*) FROM catalogue_finding AS found WHERE found.channel = channel.code
               AND found.status = 'open' AND found.severity <> :info AND found.kind = ANY(:unmapped)) AS unmapped,
           (SELECT count(*) FROM quarantined_row AS held WHERE held.suite = 'orders_pulled'
               AND held.channel = channel.code AND held.status = 'open') AS held,
           (SELECT count(*) FROM inbox WHERE inbox.channel = channel.code AND inbox.status = 'pending') AS waiting,
           EXISTS (SELECT FROM movement WHERE movement.sku IN (
               SELECT coalesce(part.component_sku, listing.sku)
               FROM listing LEFT JOIN bundle_component AS part ON part.bundle_sku = listing.sku
               WHERE listing.channel = channel.code)) AS stocked
    FROM channel WHERE channel.code = :code
    """
)


def readiness(connection: Connection, code: str, *, accept_unmapped: bool = False, now: datetime) -> tuple[Check, ...]:
    """What must hold before the channel goes live, and what to do about what does not. Raises UnknownChannel."""
    channel_state(connection, code)
    facts = connection.execute(
        _FACTS,
        {
            "code": code,
            "blocker": FindingSeverity.BLOCKER.value,
            "info": FindingSeverity.INFO.value,
            "unmapped": [FindingKind.UNMAPPED.value, FindingKind.EMPTY_SKU.value, FindingKind.UNREADABLE.value],
        },
    ).one()
    return (*_catalogue_checks(facts, accept_unmapped, now), *_ledger_checks(facts))


def _catalogue_checks(facts: Row[tuple[object, ...]], accept_unmapped: bool, now: datetime) -> Sequence[Check]:
    fresh = facts.audited_at is not None and now - facts.audited_at <= AUDIT_AGE
    unmapped = f"{facts.unmapped} without a SKU of ours" + (" (accepted)" if accept_unmapped else "")
    return (
        Check("listings", facts.listings > 0, f"{facts.listings} mapped", "import_listings"),
        Check("catalogue audited", fresh, _when(facts.audited_at), f"audit_catalogue; it holds {AUDIT_AGE.days} days"),
        Check(
            "no blockers", fresh and facts.blockers == 0, f"{facts.blockers} open",
            "what each finding of audit_catalogue says, then audit_catalogue again",
        ),
        Check(
            "nothing unmapped", fresh and (facts.unmapped == 0 or accept_unmapped), unmapped,
            "import_listings, or accept that those are not ours to keep",
        ),
    )  # fmt: skip


def _ledger_checks(facts: Row[tuple[object, ...]]) -> Sequence[Check]:
    pulled = facts.pulled_at is not None and (facts.mapped_at is None or facts.pulled_at >= facts.mapped_at)
    return (
        Check(
            "opening stock", facts.stocked, "some" if facts.stocked else "none: all would go to zero", "open_balances"
        ),
        Check(
            "orders read since the listings were made", pulled, _when(facts.pulled_at),
            "pull_channel to its end",
        ),
        Check(
            "no order held back", facts.held == 0 and facts.waiting == 0,
            f"{facts.held} rows held back, {facts.waiting} events waiting", "map what they name, then pull_channel",
        ),
        Check(
            "each listing read once", facts.listings > 0 and facts.unread == 0, f"{facts.unread} never read",
            "publish_availability (it reads, and sends nothing to a channel that is not live)",
        ),
        Check(
            "dry run", facts.mode != ChannelMode.SHADOW, facts.mode,
            "set it to dry run first, and look at preview_publication",
        ),
    )  # fmt: skip


def _when(at: datetime | None) -> str:
    return "never" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def set_mode(
    connection: Connection,
    code: str,
    mode: ChannelMode,
    *,
    actor: str,
    reason: str,
    accept_unmapped: bool = False,
    now: datetime,
) -> ModeChange:
    """Change the mode and record who and why; to live only if nothing is missing. Raises UnknownChannel.

    A number that is on its way to the channel when it ceases to be live still arrives. What the channel shows
    then goes on counting: its exposure stays.
    """
    connection.execute(text("SELECT FROM channel WHERE code = :code FOR UPDATE"), {"code": code})
    before = channel_state(connection, code).mode
    checks: tuple[Check, ...] = ()
    if mode is ChannelMode.LIVE and before is not ChannelMode.LIVE:
        checks = readiness(connection, code, accept_unmapped=accept_unmapped, now=now)
    change = ModeChange(code, before, mode, checks)
    if change.missing:
        return ModeChange(code, before, before, checks)
    if mode is not before:
        connection.execute(text("UPDATE channel SET mode = :mode WHERE code = :code"), {"mode": mode, "code": code})
        connection.execute(
            text(
                "INSERT INTO channel_change (channel, at, actor, reason, from_mode, to_mode) "
                "VALUES (:channel, :now, :actor, :reason, :before, :mode)"
            ),
            {
                "channel": code, "now": now, "actor": actor, "before": before, "mode": mode,
                "reason": f"{reason} (listings without a SKU accepted)" if accept_unmapped else reason,
            },
        )  # fmt: skip
        skus = connection.execute(text("SELECT DISTINCT sku FROM listing WHERE channel = :code"), {"code": code})
        mark_dirty(connection, {row.sku for row in skus}, now=now)
    return change
