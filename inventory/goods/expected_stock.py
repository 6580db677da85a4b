"""Stock that is not there yet: what purchases will bring, and what suppliers say they have.

None of it is sellable by itself: `inventory.publishing.availability` knows nothing of it. Whoever sells ahead by policy
asks here for what may be promised, with the date to tell the buyer. What a supplier said too long ago counts as
nothing.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Inbound:
    """Units that a purchase will bring."""

    sku: str
    location: str
    units: int
    promised_at: datetime | None
    """None: nobody has said when, so it is no promise to a buyer."""
    purchase: str
    supplier: str


@dataclass(frozen=True, slots=True)
class SupplierSays:
    """Units that a supplier says it has."""

    sku: str
    supplier: str
    units: int
    as_of: datetime
    promised_at: datetime | None

    def counts(self, now: datetime, max_age: timedelta) -> int:
        """The units, or 0 when the word is older than `max_age`: in the meantime others have bought too."""
        return self.units if now - self.as_of <= max_age else 0


@dataclass(frozen=True, slots=True)
class Promise:
    """Units that a buyer may be promised for a date."""

    sku: str
    units: int
    by: datetime
    source: str
    """`purchase:<name>` or `supplier:<code>`."""


def inbound(connection: Connection, skus: Collection[str]) -> list[Inbound]:
    """What purchases will still bring of these SKUs, the soonest first and the undated last."""
    rows = connection.execute(
        text(
            """
            SELECT sku, location, ordered - received AS units, promised_at, purchase, supplier FROM purchase_line
            WHERE sku = ANY(:skus) AND ordered > received ORDER BY promised_at NULLS LAST, purchase, sku
            """
        ),
        {"skus": sorted(set(skus))},
    )
    return [Inbound(*row) for row in rows]


def supplier_stock(connection: Connection, skus: Collection[str]) -> list[SupplierSays]:
    """What suppliers say they have of these SKUs, whatever its age; by SKU and supplier."""
    rows = connection.execute(
        text(
            "SELECT sku, supplier, quantity, as_of, promised_at FROM supplier_stock "
            "WHERE sku = ANY(:skus) ORDER BY sku, supplier"
        ),
        {"skus": sorted(set(skus))},
    )
    return [SupplierSays(*row) for row in rows]


def promises(
    connection: Connection,
    skus: Collection[str],
    *,
    now: datetime,
    by: datetime,
    suppliers: Collection[str] = (),
    max_age: timedelta = timedelta(days=1),
    lead_time: timedelta = timedelta(days=7),
) -> list[Promise]:
    """What may be promised for `by` at the latest, the soonest first; for a policy that sells ahead, and for no other.

    Purchases count with a date that is to come; one that is past is late, not a promise. `suppliers` names those whose
    word counts too, if it is no older than `max_age`: for the date they say, else `lead_time` from now.
    """
    found = [
        Promise(one.sku, one.units, one.promised_at, f"purchase:{one.purchase}")
        for one in inbound(connection, skus)
        if one.promised_at is not None and now <= one.promised_at <= by
    ]
    for said in supplier_stock(connection, skus) if suppliers else ():
        units = said.counts(now, max_age) if said.supplier in suppliers else 0
        arrives = max(said.promised_at, now) if said.promised_at else now + lead_time
        if units and arrives <= by:
            found.append(Promise(said.sku, units, arrives, f"supplier:{said.supplier}"))
    return sorted(found, key=lambda one: (one.by, one.sku, one.source))


def overdue(connection: Connection, *, before: datetime) -> list[Inbound]:
    """Lines of purchases whose date was before that, the longest overdue first."""
    rows = connection.execute(
        text(
            """
            SELECT sku, location, ordered - received AS units, promised_at, purchase, supplier FROM purchase_line
            WHERE ordered > received AND promised_at < :before ORDER BY promised_at, purchase, sku
            """
        ),
        {"before": before},
    )
    return [Inbound(*row) for row in rows]
