"""A variance becomes movements: units found come from `count_gain`, units missing go to `count_loss`.

What is missing is taken where it does least harm: first what is available, then what is not for sale anyway
(quarantined, damaged), last what is promised. A promise whose unit is gone is served from another location, or else
it is oversold and said to be: newest promise first. Units that a checkout holds just now stay until it ends.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, text

from inventory.holds.reservation_store import LINE_COLUMNS
from inventory.incidents import NewIncident
from inventory.ledger.ledger import BalanceKey, Move
from inventory.ledger.shelf import Cause, Line, Shelf
from inventory.words import IncidentKind, MovementReason, Severity, StockState

SOURCE = "record_counts"


@dataclass(frozen=True, slots=True)
class Variance:
    bin_count: int
    sku: str
    location: str
    units: int
    actor: str


@dataclass(slots=True)
class Promise:
    """An order's units that lie in the bin."""

    holder: str
    channel: str
    placed_at: datetime


@dataclass(slots=True)
class Posting:
    """Notes movements on a shelf that the caller has locked, and writes. `balances`: of all states, as locked."""

    shelf: Shelf
    balances: dict[BalanceKey, int]
    promises: dict[tuple[str, str], list[Promise]]
    """{(SKU, location): live orders with units there, the newest first}"""
    now: datetime
    incidents: list[NewIncident] = field(default_factory=list)

    def post(self, variance: Variance) -> int:
        """The units by which what is on hand changes, with their sign. Less is lost than asked for only where a
        checkout holds the rest."""
        if variance.units >= 0:
            self._gain(variance)
            return variance.units
        left = -variance.units
        for state in (StockState.AVAILABLE, StockState.QUARANTINED, StockState.DAMAGED):
            left -= self._lose(variance, state, left)
        if left:
            left -= self._break_promises(variance, left)
        return variance.units + left

    def _gain(self, variance: Variance) -> None:
        if not variance.units:
            return
        key = f"count:{variance.bin_count}"
        self._move(variance, StockState.COUNT_GAIN, StockState.AVAILABLE, variance.units, key)
        cause = Cause(key, MovementReason.COUNT, SOURCE, self.now, _reference(variance))
        self.shelf.put(variance.sku, variance.location, variance.units, cause)

    def _lose(self, variance: Variance, state: StockState, most: int) -> int:
        if state is StockState.AVAILABLE:
            there = self.shelf.available.get(variance.sku, {}).get(variance.location, 0)
        else:
            there = self.balances.get((variance.sku, variance.location, state.value), 0)
        units = min(most, there)
        if units > 0:
            self._move(variance, state, StockState.COUNT_LOSS, units, f"count:{variance.bin_count}:{state.value}")
            if state is StockState.AVAILABLE:
                self.shelf.available[variance.sku][variance.location] = there - units
        return max(units, 0)

    def _break_promises(self, variance: Variance, most: int) -> int:
        sku, place = variance.sku, variance.location
        left, short = most, 0
        for promise in self.promises.get((sku, place), []):
            line = self.shelf.lines[promise.holder, sku][place]
            units = min(left, line.held)
            if units <= 0:
                continue
            routed = max(0, units - (line.held - line.allocated))
            line.held -= units
            line.allocated -= routed
            self.shelf.changed.add((promise.holder, sku, place))
            self._lose_promised(variance, promise, units - routed, routed)
            cause = Cause(
                f"count:{variance.bin_count}:again:{promise.holder}", MovementReason.SALE, promise.channel, self.now,
                promise.holder,
            )  # fmt: skip
            short += self.shelf.take(promise.holder, promise.channel, sku, units, promise.placed_at, cause)
            left -= units
        if short:
            self.incidents.append(
                NewIncident(
                    IncidentKind.OVERSOLD, Severity.CRITICAL, sku,
                    f"{short} units of {sku} that orders were promised are not at {place}, as a count found, and "
                    "nowhere else either",
                    {"short": short, "bin_count": variance.bin_count},
                )
            )  # fmt: skip
        return most - left

    def _lose_promised(self, variance: Variance, promise: Promise, reserved: int, routed: int) -> None:
        for state, units in ((StockState.RESERVED, reserved), (StockState.ALLOCATED, routed)):
            if units:
                key = (variance.sku, variance.location, state.value)
                there = self.balances.get(key, 0)
                assert there >= units, f"{promise.holder} holds units of {variance.sku} that no balance has"
                self.balances[key] = there - units
                name = f"count:{variance.bin_count}:{state.value}:{promise.holder}"
                self._move(variance, state, StockState.COUNT_LOSS, units, name)

    def _move(self, variance: Variance, from_state: StockState, to_state: StockState, units: int, key: str) -> None:
        self.shelf.moves.append(
            Move(
                sku=variance.sku,
                location=variance.location,
                from_state=from_state,
                to_state=to_state,
                quantity=units,
                reason=MovementReason.COUNT,
                source=SOURCE,
                event_key=key,
                occurred_at=self.now,
                actor=variance.actor,
                reference=_reference(variance),
            )
        )


def _reference(variance: Variance) -> str:
    return f"count {variance.bin_count}"


_PROMISES = text(
    """
    SELECT line.holder, line.sku, line.location, reservation.channel, reservation.placed_at
    FROM reservation_line AS line JOIN reservation USING (holder)
    WHERE line.sku = ANY(:skus) AND line.held > 0 AND reservation.status = 'live' AND reservation.kind = 'order'
    ORDER BY reservation.placed_at DESC, line.holder DESC
    """
)
_LINES = text(f"SELECT {LINE_COLUMNS} FROM reservation_line WHERE holder = ANY(:holders)")  # noqa: S608


def begin(
    connection: Connection, shelf: Shelf, balances: Iterable[tuple[BalanceKey, int]], *, skus: Sequence[str],
    now: datetime,
) -> Posting:  # fmt: skip
    """`shelf` and `balances` as locked in this transaction; what the shelf has noted already is taken into account."""
    held = dict(balances)
    for move in shelf.moves:
        for place, state, units in (
            (move.location, move.from_state, -move.quantity),
            (move.to_location or move.location, move.to_state, move.quantity),
        ):
            held[move.sku, place, state.value] = held.get((move.sku, place, state.value), 0) + units
    promises: dict[tuple[str, str], list[Promise]] = {}
    for row in connection.execute(_PROMISES, {"skus": list(skus)}):
        promises.setdefault((row.sku, row.location), []).append(Promise(row.holder, row.channel, row.placed_at))
    loaded = {holder for holder, _ in shelf.lines}
    holders = sorted({one.holder for its in promises.values() for one in its} - loaded)
    for row in connection.execute(_LINES, {"holders": holders}) if holders else ():
        shelf.lines.setdefault((row.holder, row.sku), {})[row.location] = Line(*row[3:])
    return Posting(shelf, held, promises, now)
