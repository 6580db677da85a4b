"""Holds: units kept for somebody who asked before selling, for a while.

A hold is all or nothing (or, when asked so, as much as there is), keyed, and ends once: released, expired or
shipped are terminal, and ending it twice is a named no-op. Its time-to-live is judged when it is read, so a dead
sweeper neither leaks units nor sells them twice. Many requests are decided as one set in one transaction, first
come first served. What becomes of a hold once it is given is in `inventory.holds.hold_terms`.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, text

from inventory.catalogue import Components, bundles, eligible_locations, existing_items, listings_by_ref
from inventory.holds.pool import promised_units
from inventory.holds.reservation_store import end_reservations, lock_shelf, write_shelf
from inventory.ledger.ledger import plan_by_key
from inventory.ledger.shelf import Cause, Shelf
from inventory.words import MovementReason, ReservationStatus, StockState

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""As `json.dumps`, which makes an encoder at each call."""


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """Hold all of these units for `ttl`, or nothing. `key` is the caller's idempotency key in its channel.

    Lines of one name are added up.
    """

    key: str
    channel: str
    lines: tuple[tuple[str, int], ...]
    """(SKU or bundle, units > 0)"""
    ttl: timedelta
    listings: tuple[tuple[str, int], ...] = ()
    """(the channel's own ref of a listing, listing units > 0), besides `lines`."""
    partial: bool = False
    """Hold as many whole units of each line as are free; refused only when none is."""

    @property
    def holder(self) -> str:
        return holder_of(self.channel, self.key)

    @property
    def fingerprint(self) -> str:
        """What is asked, and no more: the same for the same lines in another order."""
        asked = [sorted(_added_up(lines).items()) for lines in (self.lines, self.listings)]
        return _encode([*asked, self.partial])


def holder_of(channel: str, key: str) -> str:
    return f"hold:{channel}:{key}"


@dataclass(frozen=True, slots=True)
class HeldLine:
    """What became of all the lines of one name, in units of that name."""

    name: str
    is_listing: bool
    """The name is the channel's ref of a listing, else a SKU."""
    asked: int
    held: int
    free: int | None = None
    """Where not all was held: the units that were free then, after the lines before it."""
    known: bool = True
    """There is such a SKU or listing."""


@dataclass(frozen=True, slots=True)
class HoldState:
    """A hold as it is at the moment of reading."""

    holder: str
    status: ReservationStatus
    """Judged when read: a live hold past its time is expired."""
    lines: tuple[HeldLine, ...]
    """What was held when it was asked for, whatever became of it; SKUs first, each kind in the order of names."""
    placed_at: datetime
    expires_at: datetime | None
    """None: it was committed, and never expires."""
    order_id: str | None = None
    """The channel's order that it was committed for."""


class HoldStatus(StrEnum):
    HELD = "held"
    REFUSED = "refused"
    REPEATED = "repeated"
    """The same request was decided before; nothing was done again."""
    CONFLICT = "conflict"
    """The key was used for a different request; nothing was done."""


@dataclass(frozen=True, slots=True)
class HoldResult:
    holder: str
    status: HoldStatus
    hold: HoldState
    """The hold that has this key, whatever it was asked for."""
    short: dict[str, tuple[int, int]] = field(default_factory=dict)
    """{SKU: (asked, free)} in pieces, where it did not fit."""

    @property
    def reservation(self) -> ReservationStatus:
        return self.hold.status


_HEADERS = text(
    """
    INSERT INTO reservation (holder, kind, channel, status, placed_at, updated_at, recorded_at, expires_at, fingerprint)
    SELECT holder, 'hold', channel, 'live', :now, :now, :now, expires_at, fingerprint
    FROM unnest(CAST(:holders AS text[]), CAST(:channels AS text[]), CAST(:expires AS timestamptz[]),
                CAST(:fingerprints AS text[])) AS given (holder, channel, expires_at, fingerprint)
    ORDER BY holder ON CONFLICT (holder) DO NOTHING RETURNING holder
    """
)


def reserve(connection: Connection, requests: Sequence[HoldRequest], *, now: datetime) -> list[HoldResult]:
    """Decide the requests one after the other, in the given order; one result each, in the same order.

    Units that blind channels may still sell (their exposure), the accuracy margin and the safety stock are
    not free. Raises ValueError for a request that makes no sense; then nothing is done.
    """
    for request in requests:
        check(request)
    plan_by_key(connection)
    asked = [(request.holder, request.fingerprint, request) for request in requests]
    first: dict[str, tuple[str, HoldRequest]] = {}
    for holder, fingerprint, request in asked:
        first.setdefault(holder, (fingerprint, request))
    fresh = _insert_headers(connection, first, now)
    wanted = {holder: request for holder, (_, request) in first.items() if holder in fresh}
    decided = _decide(connection, wanted, now) if wanted else {}
    known = _known(connection, [holder for holder in first if holder not in fresh], now)
    results = []
    for holder, fingerprint, _ in asked:
        result = decided.pop(holder, None)
        if result is None:
            before, hold = known[holder]
            status = HoldStatus.REPEATED if before == fingerprint else HoldStatus.CONFLICT
            result = HoldResult(holder, status, hold)
        else:
            known[holder] = fingerprint, result.hold
        results.append(result)
    return results


def check(request: HoldRequest) -> None:
    """Raises ValueError for a request that makes no sense."""
    lines = (*request.lines, *request.listings)
    if not lines:
        raise ValueError(f"hold {request.key!r} asks for nothing")
    for name, units in lines:
        if type(units) is not int or not 0 < units <= 1_000_000_000:
            raise ValueError(f"hold {request.key!r} asks for {units!r} of {name}: whole units above zero, please")
    if request.ttl <= timedelta(0):
        raise ValueError(f"hold {request.key!r} would expire before it begins")


def _insert_headers(connection: Connection, requests: Mapping[str, tuple[str, HoldRequest]], now: datetime) -> set[str]:
    """`requests` are {holder: (fingerprint, request)}; the holders that are new."""
    rows = connection.execute(
        _HEADERS,
        {
            "holders": list(requests),
            "channels": [one.channel for _, one in requests.values()],
            "expires": [now + one.ttl for _, one in requests.values()],
            "fingerprints": [fingerprint for fingerprint, _ in requests.values()],
            "now": now,
        },
    )
    return {row.holder for row in rows}


HOLD_COLUMNS = "holder, status, placed_at, expires_at, order_id, fingerprint, outcome"


def _known(connection: Connection, holders: Sequence[str], now: datetime) -> dict[str, tuple[str, HoldState]]:
    """{holder: (fingerprint, state)}"""
    if not holders:
        return {}
    rows = connection.execute(
        text(f"SELECT {HOLD_COLUMNS} FROM reservation WHERE holder = ANY(:holders)"),  # noqa: S608 - a constant
        {"holders": list(holders)},
    )
    return {row.holder: (row.fingerprint, state_of(row, now)) for row in rows}


def state_of(row: Row[Any], now: datetime) -> HoldState:
    """The hold in a row of HOLD_COLUMNS."""
    status = ReservationStatus(row.status)
    if status is ReservationStatus.LIVE and row.expires_at is not None and row.expires_at <= now:
        status = ReservationStatus.EXPIRED
    skus, listings, _ = json.loads(row.fingerprint)
    names = [(name, False, asked) for name, asked in skus] + [(name, True, asked) for name, asked in listings]
    outcome = row.outcome or [(asked, None, True) for _, _, asked in names]
    lines = (HeldLine(*name, *became) for name, became in zip(names, outcome, strict=True))
    return HoldState(row.holder, status, tuple(lines), row.placed_at, row.expires_at, row.order_id)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The lines of one name, and what one unit of it takes off the shelf; nothing when the name is unknown."""

    name: str
    is_listing: bool
    units: int
    pieces: Components


def explode(connection: Connection, by_holder: Mapping[str, HoldRequest]) -> dict[str, list[Wanted]]:
    """{holder: its lines added up, in the order in which they are served}"""
    requests = by_holder.values()
    refs: dict[str, set[str]] = defaultdict(set)
    for request in requests:
        if request.listings:
            refs[request.channel].update(ref for ref, _ in request.listings)
    listings = {channel: listings_by_ref(connection, channel, found) for channel, found in refs.items()}
    skus = {sku for request in requests for sku, _ in request.lines}
    recipes = bundles(connection, skus | {one.sku for found in listings.values() for one in found.values()})

    def of_listing(channel: str, ref: str) -> Components:
        listing = listings[channel].get(ref)
        if listing is None:
            return {}
        parts = recipes.get(listing.sku, {listing.sku: 1})
        return {part: count * listing.units_per_listing for part, count in parts.items()}

    return {
        holder: [
            *(Wanted(sku, False, n, recipes.get(sku, {sku: 1})) for sku, n in sorted(_added_up(request.lines).items())),
            *(
                Wanted(ref, True, n, of_listing(request.channel, ref))
                for ref, n in sorted(_added_up(request.listings).items())
            ),
        ]
        for holder, request in by_holder.items()
    }


def _added_up(lines: Iterable[tuple[str, int]]) -> dict[str, int]:
    merged: dict[str, int] = defaultdict(int)
    for name, units in lines:
        merged[name] += units
    return merged


_TOUCHED = (StockState.AVAILABLE, StockState.RESERVED)


def _decide(connection: Connection, requests: Mapping[str, HoldRequest], now: datetime) -> dict[str, HoldResult]:
    wanted = explode(connection, requests)
    skus = {sku for lines in wanted.values() for one in lines for sku in one.pieces}
    shelf = lock_shelf(connection, skus, eligible_locations(connection), now=now, only=_TOUCHED)
    promised = promised_units(connection, skus)
    results = {
        holder: _hold(shelf, holder, request, wanted[holder], promised, now) for holder, request in requests.items()
    }
    results = _name_the_unknown(connection, results, wanted)
    refused = [holder for holder, result in results.items() if result.status is HoldStatus.REFUSED]
    if refused:
        end_reservations(connection, refused, ReservationStatus.REFUSED, now=now)
    _note_outcomes(connection, results)
    write_shelf(connection, shelf, now=now, publish=True)
    return results


def fill(wanted: Sequence[Wanted], left: dict[str, int]) -> list[HeldLine]:
    """As many whole units of each line as `left` (pieces by SKU) has, one line after the other; takes them off it."""
    lines = []
    for one in wanted:
        free = min((left[sku] // count for sku, count in one.pieces.items()), default=0)
        held = min(one.units, free)
        for sku, count in one.pieces.items():
            left[sku] -= held * count
        lines.append(HeldLine(one.name, one.is_listing, one.units, held, free, bool(one.pieces)))
    return lines


def _hold(
    shelf: Shelf,
    holder: str,
    request: HoldRequest,
    wanted: Sequence[Wanted],
    promised: Mapping[str, int],
    now: datetime,
) -> HoldResult:
    skus = {sku for one in wanted for sku in one.pieces}
    free = {sku: max(0, shelf.free(sku, request.channel) - promised.get(sku, 0)) for sku in skus}
    lines = fill(wanted, left := dict(free))
    full = all(line.held == line.asked for line in lines)
    if not full and not (request.partial and any(line.held for line in lines)):
        none = [replace(line, held=0) for line in lines]
        nothing = _state(holder, request, ReservationStatus.REFUSED, none, now)
        return HoldResult(holder, HoldStatus.REFUSED, nothing, _short(wanted, free))
    cause = Cause(f"hold:{holder}", MovementReason.HOLD, request.channel, now, holder)
    for sku in sorted(skus):
        if units := free[sku] - left[sku]:
            missing = shelf.take(holder, request.channel, sku, units, now, cause)
            assert missing == 0, "a hold took more than was free"
    # Not `replace`, which would take a tenth of all the time that a hold takes here.
    held = [
        one if one.held < one.asked else HeldLine(one.name, one.is_listing, one.asked, one.held, None, one.known)
        for one in lines
    ]
    state = _state(holder, request, ReservationStatus.LIVE, held, now)
    return HoldResult(holder, HoldStatus.HELD, state, {} if full else _short(wanted, free))


def _state(
    holder: str, request: HoldRequest, status: ReservationStatus, lines: Sequence[HeldLine], now: datetime
) -> HoldState:
    return HoldState(holder, status, tuple(lines), now, now + request.ttl)


def _short(wanted: Sequence[Wanted], free: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    asked: dict[str, int] = defaultdict(int)
    for one in wanted:
        for sku, count in one.pieces.items():
            asked[sku] += one.units * count
    return {sku: (units, free[sku]) for sku, units in asked.items() if units > free[sku]}


def _name_the_unknown(
    connection: Connection, results: dict[str, HoldResult], wanted: Mapping[str, Sequence[Wanted]]
) -> dict[str, HoldResult]:
    """A SKU of which there is nothing may be one that never was; only then it is looked up."""
    nothing = {sku for result in results.values() for sku, (_, free) in result.short.items() if free == 0}
    unknown = nothing - existing_items(connection, nothing)
    if not unknown:
        return results
    marked = {}
    for holder, result in results.items():
        if unknown & result.short.keys():
            pieces = zip(result.hold.lines, wanted[holder], strict=True)
            lines = tuple(replace(line, known=line.known and not unknown & one.pieces.keys()) for line, one in pieces)
            result = replace(result, hold=replace(result.hold, lines=lines))
        marked[holder] = result
    return marked


def _note_outcomes(connection: Connection, results: Mapping[str, HoldResult]) -> None:
    """What was held, where that is not what was asked: a repeated request is answered as the first was."""
    outcomes = {
        holder: json.dumps([(line.held, line.free, line.known) for line in result.hold.lines])
        for holder, result in sorted(results.items())
        if any(line.held < line.asked for line in result.hold.lines)
    }
    if outcomes:
        connection.execute(
            text(
                "UPDATE reservation SET outcome = CAST(given.outcome AS jsonb) "
                "FROM unnest(CAST(:holders AS text[]), CAST(:outcomes AS text[])) AS given (holder, outcome) "
                "WHERE reservation.holder = given.holder"
            ),
            {"holders": list(outcomes), "outcomes": list(outcomes.values())},
        )
