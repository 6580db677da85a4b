"""Channels that were taken off sale: by whom, what puts them back, and from when on they are known to sell nothing.

A channel is paused while any of its pauses is open. An owner has one open pause a channel; the switch is turned by the
first and turned back with the last. What the switches were before is kept before they are turned, oldest state first,
so that a process may die anywhere: putting back every state, the newest first, ends with the oldest.

Nothing is written to a paused channel and it is given no share of scarce stock. What it shows counts as before until
the pause is confirmed; from then on, where a switch hides the whole channel (`by_switch`), what it shows
counts as nothing once its orders have been read (`exposure.observe` and `settle`). A channel that was paused by
zeros simply shows zero.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from inventory.channels import channel_state
from inventory.ledger.ledger import lock_balances
from inventory.publishing.availability import connected_skus, load_market
from inventory.publishing.outbox import mark_dirty
from inventory.words import ChannelMode, PauseOwner, PauseStatus

MAY_LIFT: Mapping[PauseOwner, frozenset[PauseOwner]] = {
    PauseOwner.ONHAND: frozenset({PauseOwner.ONHAND}),
    PauseOwner.PERSON: frozenset({PauseOwner.ONHAND, PauseOwner.PERSON}),
    PauseOwner.PLATFORM: frozenset({PauseOwner.PLATFORM}),
}
"""{who lifts: whose pauses}"""


class PausedAnew(Exception):
    """The channel's pauses are no longer those that were to be lifted. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Pause:
    id: int
    channel: str
    owner: PauseOwner
    actor: str
    reason: str
    status: PauseStatus
    prior: tuple[dict[str, Any], ...]
    by_switch: bool
    started_at: datetime
    confirmed_at: datetime | None


def _pause(row: Row[Any]) -> Pause:
    return Pause(
        row.id,
        row.channel,
        PauseOwner(row.owner),
        row.actor,
        row.reason,
        PauseStatus(row.status),
        tuple(row.prior),
        row.by_switch,
        row.started_at,
        row.confirmed_at,
    )


def open_pauses(connection: Connection, channels: Collection[str] = ()) -> list[Pause]:
    """Oldest first; without `channels`, of all."""
    rows = connection.execute(
        text("SELECT * FROM channel_pause WHERE status <> 'lifted' AND (:all OR channel = ANY(:channels)) ORDER BY id"),
        {"all": not channels, "channels": sorted(set(channels))},
    )
    return [_pause(row) for row in rows]


def begin_pause(
    connection: Connection, channel: str, *, owner: PauseOwner, actor: str, reason: str, now: datetime
) -> Pause:
    """Say that the channel is to be paused, before its switch is turned; from its commit on nothing is sent to it.

    What this owner has open already is returned as it is, and taken up again where it was being lifted. A platform
    has turned its switch itself; where another owner's pause is in force, there is nothing to be turned either.
    Raises UnknownChannel.
    """
    # One at a time for each channel: two that begin together would both turn the switch.
    connection.execute(text("SELECT FROM channel WHERE code = :code FOR UPDATE"), {"code": channel})
    channel_state(connection, channel)
    others = open_pauses(connection, [channel])
    mine = next((one for one in others if one.owner is owner), None)
    force = next((one for one in others if one.status is PauseStatus.PAUSED), None)
    in_force = owner is PauseOwner.PLATFORM or (force is not None and force.owner is not PauseOwner.PLATFORM)
    if mine is None:
        connection.execute(
            text(
                """
                INSERT INTO channel_pause (channel, owner, actor, reason, status, prior, by_switch, started_at,
                                           confirmed_at, lifted_by, lift_reason)
                VALUES (:channel, :owner, :actor, :reason, :status, '[]', :by_switch, :now, :confirmed_at, '', '')
                """
            ),
            {
                "channel": channel,
                "owner": owner.value,
                "actor": actor,
                "reason": reason,
                "status": (PauseStatus.PAUSED if in_force else PauseStatus.TURNING).value,
                "by_switch": in_force and force is not None and force.by_switch,
                "confirmed_at": force.confirmed_at if in_force and force is not None else None,
                "now": now,
            },
        )
    else:
        # One that was being lifted is turned again.
        connection.execute(
            text(
                "UPDATE channel_pause SET status = 'turning', confirmed_at = NULL WHERE id = :id AND status = 'lifting'"
            ),
            {"id": mine.id},
        )
    skus = connection.execute(text("SELECT DISTINCT sku FROM listing WHERE channel = :code"), {"code": channel})
    mark_dirty(connection, {row.sku for row in skus}, now=now, eager=False)
    [begun] = [one for one in open_pauses(connection, [channel]) if one.owner is owner]
    return begun


def remember(connection: Connection, pause: Pause, state: Mapping[str, Any]) -> None:
    """Keep what a switch was. Commit it before the switch is turned."""
    connection.execute(
        text(
            "UPDATE channel_pause SET prior = prior || jsonb_build_array(CAST(:state AS jsonb)) "
            "WHERE id = :id AND NOT prior @> jsonb_build_array(CAST(:state AS jsonb))"
        ),
        {"id": pause.id, "state": json.dumps(dict(state))},
    )


def confirm_pause(connection: Connection, pause: Pause, *, by_switch: bool, confirmed: bool, now: datetime) -> None:
    """The switch is turned. `confirmed`: the channel is known to sell nothing from `now` on; without, what it shows
    goes on counting until it shows less."""
    connection.execute(
        text(
            """
            UPDATE channel_pause SET status = 'paused', by_switch = :by_switch,
                   confirmed_at = coalesce(confirmed_at, CASE WHEN :confirmed THEN CAST(:now AS timestamptz) END)
            WHERE id = :id AND status IN ('turning', 'paused')
            """
        ),
        {"id": pause.id, "by_switch": by_switch, "confirmed": confirmed, "now": now},
    )


def sold_all_the_same(connection: Connection) -> dict[str, int]:
    """{channel: units} that are on show where zeros were to stop all selling: a number that was on its way when the
    channel was paused, or somebody else's."""
    rows = connection.execute(
        text(
            """
            SELECT pause.channel, sum(listing.observed)::bigint AS units
            FROM (SELECT channel, max(confirmed_at) AS confirmed_at FROM channel_pause
                  WHERE status = 'paused' AND owner <> :platform
                  GROUP BY channel HAVING bool_and(NOT by_switch)) AS pause
            JOIN listing ON listing.channel = pause.channel
            WHERE listing.observed > 0 AND listing.observed_at > pause.confirmed_at
            GROUP BY pause.channel
            """
        ),
        {"platform": PauseOwner.PLATFORM.value},
    )
    return {row.channel: row.units for row in rows}


@dataclass(frozen=True, slots=True)
class Lifting:
    """`mine`: the pauses that end. `states`: what is to be put back, newest first; none while `others` keep
    it paused."""

    mine: tuple[Pause, ...]
    others: tuple[Pause, ...]

    @property
    def turns(self) -> bool:
        """The channel is put back on sale by it."""
        return bool(self.mine) and not self.others

    @property
    def states(self) -> list[dict[str, Any]]:
        if not self.turns:
            return []
        return [state for pause in reversed(self.mine) for state in reversed(pause.prior)]


def liftable(connection: Connection, channel: str, by: PauseOwner) -> Lifting:
    """The channel's open pauses that this kind of owner may lift, and the others. Raises UnknownChannel."""
    channel_state(connection, channel)
    pauses = open_pauses(connection, [channel])
    mine = tuple(one for one in pauses if one.owner in MAY_LIFT[by])
    return Lifting(mine, tuple(one for one in pauses if one not in mine))


def hand_over(connection: Connection, lifting: Lifting, *, by: str, reason: str, now: datetime) -> None:
    """Lift some pauses while others keep the channel paused: what puts it back goes to the oldest of those."""
    heir = lifting.others[0]
    turned = [one for one in lifting.mine if one.status is PauseStatus.PAUSED and one.confirmed_at is not None]
    connection.execute(
        text(
            """
            UPDATE channel_pause
            SET prior = CAST(:states AS jsonb) || prior, by_switch = by_switch OR :by_switch,
                confirmed_at = coalesce(confirmed_at, CAST(:confirmed_at AS timestamptz))
            WHERE id = :id
            """
        ),
        {
            "states": json.dumps([state for pause in lifting.mine for state in pause.prior]),
            "by_switch": any(one.by_switch for one in turned),
            "confirmed_at": max((one.confirmed_at for one in turned if one.confirmed_at), default=None),
            "id": heir.id,
        },
    )
    _end(connection, lifting.mine, list(PauseStatus), by=by, reason=reason, now=now)


def begin_lifting(
    connection: Connection, lifting: Lifting, live: Mapping[int, int], *, now: datetime
) -> list[tuple[int, str, int]]:
    """Before the switch is turned back: what the channel will show at once ({listing id: quantity} in `live`, just
    read) must be backed by stock that nobody else may sell.

    Returns (listing id, ref, quantity) of those that must be set to zero first; then nothing was changed. Empty: the
    exposures stand, the pauses are being lifted, and the switch may be turned back. Raises PausedAnew.
    """
    channel = lifting.mine[0].channel
    # Whoever pauses it from here on finds it being lifted, and turns the switch again.
    connection.execute(text("SELECT FROM channel WHERE code = :code FOR UPDATE"), {"code": channel})
    if {one.id for one in open_pauses(connection, [channel])} != {one.id for one in lifting.mine}:
        raise PausedAnew(f"{channel} was paused or resumed by somebody else meanwhile")
    skus = {row.sku for row in connection.execute(
        text("SELECT DISTINCT sku FROM listing WHERE channel = :code"), {"code": channel}
    )}  # fmt: skip
    lock_balances(connection, connected_skus(connection, skus))
    market = load_market(connection, skus, live)
    unbacked: list[tuple[int, str, int]] = []
    exposures: dict[int, int] = {}
    for one in sorted(market.positions, key=lambda position: position.listing_id):
        if one.channel != channel or one.asks_first:
            continue
        shown = max(live.get(one.listing_id, 0), 0)
        growth = shown - (one.exposure or 0)
        # A channel that is not live is never written to: what it shows counts, backed or not.
        if one.mode == ChannelMode.LIVE and growth > 0 and growth > market.room(one).units:
            unbacked.append((one.listing_id, one.ref, shown))
        elif one.exposure is not None or growth > 0:
            market.granted[one.listing_id] = max(growth, 0)
            exposures[one.listing_id] = max(shown, one.exposure or 0)
    if unbacked:
        return unbacked
    connection.execute(
        text(
            """
            WITH locked AS MATERIALIZED (SELECT id FROM listing WHERE id = ANY(:ids) ORDER BY id FOR UPDATE)
            -- Also of what needs no growth: a bound that waits to settle was seen while the switch hid the channel.
            UPDATE listing SET exposure = greatest(listing.exposure, given.exposure),
                   settling = NULL, settling_since = NULL
            FROM locked JOIN unnest(CAST(:ids AS bigint[]), CAST(:exposures AS int[])) AS given (id, exposure)
                        ON given.id = locked.id
            WHERE listing.id = locked.id
            """
        ),
        {"ids": sorted(exposures), "exposures": [exposures[one] for one in sorted(exposures)]},
    )
    connection.execute(
        text("UPDATE channel_pause SET status = 'lifting', confirmed_at = NULL WHERE id = ANY(:ids)"),
        {"ids": [one.id for one in lifting.mine]},
    )
    return []


def end_pauses(connection: Connection, pauses: Sequence[Pause], *, by: str, reason: str, now: datetime) -> None:
    """The switch is turned back: these are over, and the channel is published anew. One that was begun again while it
    was being lifted stays."""
    _end(connection, pauses, [PauseStatus.LIFTING], by=by, reason=reason, now=now)
    channels = sorted({one.channel for one in pauses})
    skus = connection.execute(text("SELECT DISTINCT sku FROM listing WHERE channel = ANY(:codes)"), {"codes": channels})
    mark_dirty(connection, {row.sku for row in skus}, now=now, eager=False)


def _end(
    connection: Connection,
    pauses: Sequence[Pause],
    while_in: Sequence[PauseStatus],
    *,
    by: str,
    reason: str,
    now: datetime,
) -> None:
    connection.execute(
        text(
            "UPDATE channel_pause SET status = 'lifted', lifted_at = :now, lifted_by = :by, lift_reason = :reason "
            "WHERE id = ANY(:ids) AND status <> 'lifted' AND status = ANY(:states)"
        ),
        {
            "ids": [one.id for one in pauses],
            "states": [one.value for one in while_in],
            "now": now,
            "by": by,
            "reason": reason,
        },
    )
