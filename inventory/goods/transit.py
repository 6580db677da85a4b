"""Stock on its way from one location to another.

What is sent leaves `available` at once, so that nobody sells it on the road, and is `in_transit` at the location it
goes to until it has arrived, sound or damaged, or was given up. Nothing arrives that was not sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Row, text

from inventory.catalogue import existing_items
from inventory.incidents import resolve_incidents
from inventory.ledger.ledger import Move, lock_balances
from inventory.ledger.stock import move_stock
from inventory.words import IncidentKind, MovementReason, StockState

MOST_UNITS = 1_000_000
"""Of one SKU in one transfer: a barcode in the wrong field is larger."""
SOURCE = "transfer"


class TransferError(ValueError):
    """The transfer as a whole cannot be; nothing was changed."""


@dataclass(frozen=True, slots=True)
class HeldLine:
    sku: str
    quantity: int
    why: str


@dataclass(slots=True)
class Sent:
    units: int = 0
    repeated: int = 0
    """SKUs that this transfer had sent already, with the same quantity."""
    held: list[HeldLine] = field(default_factory=list)


@dataclass(slots=True)
class Arrived:
    sound: int = 0
    damaged: int = 0
    missing: int = 0
    """Units that are still on their way."""
    repeated: bool = False
    """This delivery had been booked before: nothing was changed."""
    held: list[HeldLine] = field(default_factory=list)
    closed: bool = False


@dataclass(frozen=True, slots=True)
class OnTheWay:
    """A transfer that is not closed."""

    reference: str
    from_location: str
    to_location: str
    sent_at: datetime
    expected_by: datetime
    units: dict[str, int]
    """{SKU: units that have not arrived}"""


_OPEN = text(
    """
    INSERT INTO transfer (reference, from_location, to_location, actor, reason, sent_at, expected_by)
    VALUES (:reference, :from_location, :to_location, :actor, :reason, :now, :expected_by)
    ON CONFLICT (reference) DO NOTHING
    """
)
_HEADER = text("SELECT from_location, to_location, closed_at FROM transfer WHERE reference = :reference FOR UPDATE")
_LINES = text(
    "SELECT sku, sent, arrived, damaged, lost FROM transfer_line WHERE reference = :reference AND sku = ANY(:skus)"
)
_ALL_LINES = text("SELECT sku, sent, arrived, damaged, lost FROM transfer_line WHERE reference = :reference")
_SEND = text(
    """
    INSERT INTO transfer_line (reference, sku, sent, arrived, damaged, lost)
    SELECT :reference, sku, sent, 0, 0, 0
    FROM unnest(CAST(:skus AS text[]), CAST(:sent AS int[])) AS given (sku, sent) ORDER BY sku
    """
)
_ARRIVE = text(
    """
    UPDATE transfer_line SET arrived = transfer_line.arrived + given.arrived,
           damaged = transfer_line.damaged + given.damaged, lost = transfer_line.lost + given.lost
    FROM unnest(CAST(:skus AS text[]), CAST(:arrived AS int[]), CAST(:damaged AS int[]), CAST(:lost AS int[]))
         AS given (sku, arrived, damaged, lost)
    WHERE transfer_line.reference = :reference AND transfer_line.sku = given.sku
    """
)
_CLOSE = text(
    """
    UPDATE transfer SET closed_at = :now
    WHERE reference = :reference AND closed_at IS NULL
      AND NOT EXISTS (SELECT FROM transfer_line AS line
                      WHERE line.reference = transfer.reference AND line.sent > line.arrived + line.damaged + line.lost)
    """
)


def send(
    connection: Connection,
    sku_quantities: Mapping[str, int],
    *,
    from_location: str,
    to_location: str,
    actor: str,
    reason: str,
    reference: str,
    expected_by: datetime,
    now: datetime,
) -> Sent:
    """Send these units; SKUs as the ledger spells them. A SKU that is unknown or has too few units is held and named,
    the others go. The same reference again sends what it has not sent. Raises TransferError."""
    _check_places(connection, from_location, to_location)
    header = _header(connection, reference)
    if header is None:
        skus = [sku for sku, units in sku_quantities.items() if 0 < units <= MOST_UNITS]
        if not existing_items(connection, skus):
            return Sent(held=[_unsendable(sku, units) for sku, units in sorted(sku_quantities.items())])
        connection.execute(
            _OPEN,
            {
                "reference": reference,
                "from_location": from_location,
                "to_location": to_location,
                "actor": actor,
                "reason": reason,
                "now": now,
                "expected_by": expected_by,
            },
        )
        header = _header(connection, reference)
    assert header is not None
    if (header.from_location, header.to_location) != (from_location, to_location):
        raise TransferError(
            f"transfer {reference} goes from {header.from_location} to {header.to_location}; name another one"
        )
    result, moves = _chosen(connection, sku_quantities, reference, from_location, to_location, actor, now)
    if moves and header.closed_at is not None:
        raise TransferError(f"transfer {reference} was closed on {header.closed_at:%Y-%m-%d}; name another one")
    if moves:
        move_stock(connection, moves, now=now)
        connection.execute(
            _SEND,
            {
                "reference": reference,
                "skus": [move.sku for move in moves],
                "sent": [move.quantity for move in moves],
            },
        )
        result.units = sum(move.quantity for move in moves)
    # A transfer of which nothing could go must not stay open for ever.
    connection.execute(
        text(
            "DELETE FROM transfer WHERE reference = :reference "
            "AND NOT EXISTS (SELECT FROM transfer_line AS line WHERE line.reference = transfer.reference)"
        ),
        {"reference": reference},
    )
    return result


def _unsendable(sku: str, units: int) -> HeldLine:
    fits = 0 < units <= MOST_UNITS
    return HeldLine(sku, units, "the SKU is not in the catalogue" if fits else _quantity_fault(units))


def _quantity_fault(units: int) -> str:
    return f"a quantity is a whole number from 1 to {MOST_UNITS:,}"


def _chosen(
    connection: Connection,
    sku_quantities: Mapping[str, int],
    reference: str,
    from_location: str,
    to_location: str,
    actor: str,
    now: datetime,
) -> tuple[Sent, list[Move]]:
    result, moves = Sent(), []
    skus = sorted(sku_quantities)
    known = existing_items(connection, skus)
    sent = {row.sku: row.sent for row in connection.execute(_LINES, {"reference": reference, "skus": skus})}
    locked = lock_balances(connection, known)
    for sku in skus:
        units = sku_quantities[sku]
        free = locked.get((sku, from_location, StockState.AVAILABLE.value), 0)
        if sku not in known or not 0 < units <= MOST_UNITS:
            result.held.append(_unsendable(sku, units))
        elif sku in sent and sent[sku] == units:
            result.repeated += 1
        elif sku in sent:
            result.held.append(HeldLine(sku, units, f"{reference} sent {sent[sku]} of it already; name another one"))
        elif units > free:
            result.held.append(HeldLine(sku, units, f"{max(0, free)} are available at {from_location}"))
        else:
            moves.append(
                Move(
                    sku=sku,
                    location=from_location,
                    to_location=to_location,
                    from_state=StockState.AVAILABLE,
                    to_state=StockState.IN_TRANSIT,
                    quantity=units,
                    reason=MovementReason.TRANSFER,
                    source=SOURCE,
                    event_key=f"transfer:{reference}:sent:{sku}",
                    occurred_at=now,
                    actor=actor,
                    reference=reference,
                )
            )
    return result, moves


def _check_places(connection: Connection, from_location: str, to_location: str) -> None:
    if from_location == to_location:
        raise TransferError("a transfer goes from one location to another, not to itself")
    found = {
        row.code
        for row in connection.execute(
            text("SELECT code FROM location WHERE code = ANY(:codes)"), {"codes": [from_location, to_location]}
        )
    }
    for code in (from_location, to_location):
        if code not in found:
            raise TransferError(f"{code!r} is no location of ours")


def is_known(connection: Connection, reference: str) -> bool:
    """Whether a transfer of this name was ever sent."""
    return _header(connection, reference) is not None


def _header(connection: Connection, reference: str) -> Row[tuple[str, str, datetime | None]] | None:
    return connection.execute(_HEADER, {"reference": reference}).one_or_none()


def arrive(
    connection: Connection,
    reference: str,
    *,
    arrived: Mapping[str, int],
    damaged: Mapping[str, int],
    actor: str,
    reason: str,
    delivery: str,
    now: datetime,
) -> Arrived:
    """Units of a transfer are there, sound or damaged. What was not sent, or more than was sent, is held and named.

    `delivery` names this arrival: the same one again changes nothing. Raises TransferError.
    """
    header = _header(connection, reference)
    if header is None:
        raise TransferError(f"no transfer {reference!r} was sent")
    done = connection.execute(
        text("SELECT at FROM transfer_arrival WHERE reference = :reference AND delivery = :delivery"),
        {"reference": reference, "delivery": delivery},
    ).one_or_none()
    lines = {row.sku: row for row in connection.execute(_ALL_LINES, {"reference": reference})}
    if done is not None:
        return Arrived(repeated=True, missing=_missing(lines), closed=header.closed_at is not None)
    result = Arrived()
    taken: dict[str, tuple[int, int]] = {}
    for sku in sorted({*arrived, *damaged}):
        sound, broken = arrived.get(sku, 0), damaged.get(sku, 0)
        why = _arrival_fault(lines.get(sku), sound, broken)
        if why:
            result.held.append(HeldLine(sku, sound + broken, why))
        elif sound + broken:
            taken[sku] = (sound, broken)
    place = header.to_location
    _book(connection, reference, place, {sku: (*units, 0) for sku, units in taken.items()}, actor, delivery, now)
    if taken:
        connection.execute(
            text("INSERT INTO transfer_arrival VALUES (:reference, :delivery, :actor, :reason, :now)"),
            {"reference": reference, "delivery": delivery, "actor": actor, "reason": reason, "now": now},
        )
    result.sound = sum(sound for sound, _ in taken.values())
    result.damaged = sum(broken for _, broken in taken.values())
    result.missing = _missing(lines) - result.sound - result.damaged
    result.closed = result.missing == 0
    return result


def _arrival_fault(line: Row[tuple[str, int, int, int, int]] | None, sound: int, broken: int) -> str:
    if min(sound, broken) < 0:
        return "a quantity is a whole number, 0 or more"
    if line is None:
        return "this transfer sent none of it"
    missing = line.sent - line.arrived - line.damaged - line.lost
    if sound + broken > missing:
        return f"{missing} of the {line.sent} that were sent had not arrived yet: count again"
    return ""


def _missing(lines: Mapping[str, Row[tuple[str, int, int, int, int]]]) -> int:
    return sum(line.sent - line.arrived - line.damaged - line.lost for line in lines.values())


def _book(
    connection: Connection,
    reference: str,
    place: str,
    units: Mapping[str, tuple[int, int, int]],
    actor: str,
    delivery: str,
    now: datetime,
) -> None:
    """Move (sound, damaged, lost) units of each SKU out of transit, and close the transfer if that was all."""
    ends = (StockState.AVAILABLE, StockState.DAMAGED, StockState.WRITTEN_OFF)
    moves = [
        Move(
            sku=sku,
            location=place,
            from_state=StockState.IN_TRANSIT,
            to_state=state,
            quantity=part,
            reason=MovementReason.WRITE_OFF if state is StockState.WRITTEN_OFF else MovementReason.TRANSFER,
            source=SOURCE,
            event_key=f"transfer:{reference}:arrived:{delivery}:{state}:{sku}",
            occurred_at=now,
            actor=actor,
            reference=reference,
        )
        for sku, parts in sorted(units.items())
        for state, part in zip(ends, parts, strict=True)
        if part
    ]
    if not moves:
        return
    move_stock(connection, moves, now=now)
    skus = sorted(units)
    columns = {name: [units[sku][at] for sku in skus] for at, name in enumerate(("arrived", "damaged", "lost"))}
    connection.execute(_ARRIVE, {"reference": reference, "skus": skus, **columns})
    if connection.execute(_CLOSE, {"reference": reference, "now": now}).rowcount:
        resolve_incidents(connection, IncidentKind.TRANSFER_STUCK, [reference], now=now)


def give_up(connection: Connection, reference: str, *, actor: str, reason: str, now: datetime) -> int:
    """What has not arrived never will: it is written off. Returns the units. Raises TransferError."""
    header = _header(connection, reference)
    if header is None:
        raise TransferError(f"no transfer {reference!r} was sent")
    lines = {row.sku: row for row in connection.execute(_ALL_LINES, {"reference": reference})}
    lost = {sku: (0, 0, _missing({sku: line})) for sku, line in lines.items()}
    gone = {sku: parts for sku, parts in lost.items() if parts[2]}
    _book(connection, reference, header.to_location, gone, f"{actor}: {reason}", "given-up", now)
    return sum(parts[2] for parts in gone.values())


def open_transfers(connection: Connection, *, expected_before: datetime | None = None) -> list[OnTheWay]:
    """Those that are not closed, the longest awaited first; with `expected_before` only the overdue."""
    rows = connection.execute(
        text(
            """
            SELECT transfer.reference, from_location, to_location, sent_at, expected_by, sku,
                   sent - arrived - damaged - lost AS missing
            FROM transfer JOIN transfer_line USING (reference)
            WHERE closed_at IS NULL AND (CAST(:before AS timestamptz) IS NULL OR expected_by < :before)
              AND sent > arrived + damaged + lost
            ORDER BY expected_by, reference, sku
            """
        ),
        {"before": expected_before},
    )
    found: dict[str, OnTheWay] = {}
    for row in rows:
        one = found.setdefault(
            row.reference,
            OnTheWay(row.reference, row.from_location, row.to_location, row.sent_at, row.expected_by, {}),
        )
        one.units[row.sku] = row.missing
    return list(found.values())
