"""Transfers between locations, told by a person: what was sent, what arrived, what is stuck."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from adapters.database import in_transaction
from adapters.wakeups import PUBLISH, wake
from inventory.goods import transit
from inventory.goods.transit import HeldLine, OnTheWay, TransferError
from inventory.goods.transit_watch import note_stuck
from inventory.naming import Naming, naming
from tasks.goods.goods_words import words_fault
from tasks.runtime import Runtime

__all__ = ["TransferError", "TransferReport", "give_up_transfer", "note_stuck_transfers", "receive_transfer",
           "send_transfer"]  # fmt: skip


@dataclass(slots=True)
class TransferReport:
    """What became of a transfer. `held` names each SKU that could not be booked, and why."""

    reference: str
    units: int = 0
    """Sent, or arrived (sound and damaged together), by this call."""
    damaged: int = 0
    missing: int = 0
    """Still on their way; after sending, all that was sent."""
    repeated: int = 0
    """SKUs that were sent before under this reference; of an arrival, 1 when it had been booked before."""
    held: list[dict[str, Any]] = field(default_factory=list)
    closed: bool = False


def send_transfer(
    runtime: Runtime,
    *,
    sku_quantities: Mapping[str, int],
    from_location: str,
    to_location: str,
    actor: str,
    reason: str,
    reference: str,
    expected_by: datetime,
) -> TransferReport:
    """Units leave one location for another. A SKU that is unknown, or of which there is too little, is held and named;
    the others go. The same call again changes nothing.

    Raises TransferError: a location that is not ours, a reference that goes elsewhere, a time that is past.
    """
    now = runtime.now()
    _check_words(actor=actor, reason=reason, reference=reference, from_location=from_location, to_location=to_location)
    if expected_by.utcoffset() is None:
        raise TransferError("the time of arrival needs its offset, as 2026-11-21T16:00+00:00")
    if not sku_quantities:
        raise TransferError("nothing was named to be sent")

    def work(connection: Connection) -> TransferReport:
        units, held = _resolved(naming(connection), sku_quantities)
        if expected_by <= now and not transit.is_known(connection, reference):
            raise TransferError("the time of arrival is past")
        result = transit.Sent()
        if units:
            result = transit.send(
                connection,
                units,
                from_location=from_location,
                to_location=to_location,
                actor=actor,
                reason=reason,
                reference=reference,
                expected_by=expected_by,
                now=now,
            )
        report = TransferReport(reference, result.units, repeated=result.repeated, held=_said(held + result.held))
        report.missing = _on_the_way(connection, reference)
        return report

    report = in_transaction(runtime.engine, work)
    wake(runtime.engine, PUBLISH)
    return report


def receive_transfer(
    runtime: Runtime,
    *,
    reference: str,
    arrived: Mapping[str, int],
    damaged: Mapping[str, int],
    actor: str,
    reason: str,
    delivery: str = "",
) -> TransferReport:
    """Units of a transfer are there. What was not sent, or more than was sent, is held and named; what is missing stays
    in transit until it comes or is given up.

    `delivery` names this arrival: the same one again changes nothing. Empty: it is named by what arrived, so that two
    deliveries of exactly the same need names. Raises TransferError for a transfer that was never sent.
    """
    _check_words(actor=actor, reason=reason, reference=reference, delivery=delivery or "-")
    if not any(arrived.values()) and not any(damaged.values()):
        raise TransferError("nothing was named that arrived")

    def work(connection: Connection) -> TransferReport:
        names = naming(connection)
        sound, held = _resolved(names, arrived)
        broken, also_held = _resolved(names, damaged)
        held += also_held
        refused = {one.sku for one in held}
        # A SKU one of whose numbers makes no sense is not booked by the other.
        both = {sku for sku in {*sound, *broken} if sku not in refused}
        result = transit.arrive(
            connection,
            reference,
            arrived={sku: sound[sku] for sku in sound if sku in both},
            damaged={sku: broken[sku] for sku in broken if sku in both},
            actor=actor,
            reason=reason,
            delivery=delivery or _digest(sound, broken),
            now=runtime.now(),
        )
        return TransferReport(
            reference,
            units=result.sound + result.damaged,
            damaged=result.damaged,
            missing=result.missing,
            repeated=int(result.repeated),
            held=_said(held + result.held),
            closed=result.closed,
        )

    report = in_transaction(runtime.engine, work)
    wake(runtime.engine, PUBLISH)
    return report


def give_up_transfer(runtime: Runtime, *, reference: str, actor: str, reason: str) -> TransferReport:
    """What of a transfer has not arrived is written off, and the transfer is closed. Raises TransferError."""
    _check_words(actor=actor, reason=reason, reference=reference)
    units = in_transaction(
        runtime.engine,
        lambda connection: transit.give_up(connection, reference, actor=actor, reason=reason, now=runtime.now()),
    )
    return TransferReport(reference, units, closed=True)


def note_stuck_transfers(runtime: Runtime) -> list[OnTheWay]:
    """Those that should have arrived, each with an open incident; the longest awaited first."""
    return in_transaction(runtime.engine, lambda connection: note_stuck(connection, now=runtime.now()))


def _check_words(**given: str) -> None:
    fault = words_fault(**given)
    if fault:
        raise TransferError(fault)


def _resolved(names: Naming, given: Mapping[str, int]) -> tuple[dict[str, int], list[HeldLine]]:
    """SKUs as the ledger spells them, and the lines that make no sense. Of a code that comes in two spellings nobody
    knows whether to add them up."""
    units: dict[str, int] = {}
    held: list[HeldLine] = []
    twice: set[str] = set()
    for code, quantity in given.items():
        sku = names.resolve(code).sku
        if sku is None:
            held.append(HeldLine(code[:64], quantity, "the SKU is not in the catalogue"))
        elif isinstance(quantity, bool) or not isinstance(quantity, int) or abs(quantity) > transit.MOST_UNITS:
            held.append(HeldLine(sku, 0, f"a quantity is a whole number up to {transit.MOST_UNITS:,}"))
        elif sku in units or sku in twice:
            twice.add(sku)
        else:
            units[sku] = quantity
    for sku in twice:
        held.append(HeldLine(sku, units.pop(sku), "it comes twice, in two spellings"))
    return units, held


def _digest(sound: Mapping[str, int], broken: Mapping[str, int]) -> str:
    said = repr((sorted(sound.items()), sorted(broken.items())))
    return f"content-{hashlib.sha256(said.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _said(held: list[HeldLine]) -> list[dict[str, Any]]:
    return [{"SKU": one.sku, "quantity": one.quantity, "why": one.why} for one in held]


def _on_the_way(connection: Connection, reference: str) -> int:
    return sum(sum(one.units.values()) for one in transit.open_transfers(connection) if one.reference == reference)
