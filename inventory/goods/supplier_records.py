"""What suppliers say they have, as the gate let it through, and each reading of a feed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class FeedReading:
    """One reading of a feed that was judged."""

    status: str
    digest: str
    as_of: datetime | None
    rows: int
    known: int
    held: int
    stocked: int
    units: int
    approved_by: str = ""


APPLIED = "applied"
BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Said:
    """One SKU of a feed."""

    sku: str
    code: str
    quantity: int
    promised_at: datetime | None


def last_applied(connection: Connection, supplier: str) -> FeedReading | None:
    """The reading that the next one is held against."""
    row = connection.execute(
        text(
            "SELECT status, digest, as_of, rows, known, held, stocked, units, approved_by FROM supplier_feed "
            "WHERE supplier = :supplier AND status = 'applied' ORDER BY id DESC LIMIT 1"
        ),
        {"supplier": supplier},
    ).one_or_none()
    return FeedReading(*row) if row else None


def said_before(connection: Connection, supplier: str) -> dict[str, int]:
    """{SKU: units} that the supplier said last."""
    rows = connection.execute(
        text("SELECT sku, quantity FROM supplier_stock WHERE supplier = :supplier"), {"supplier": supplier}
    )
    return {row.sku: row.quantity for row in rows}


_NOTE = text(
    """
    INSERT INTO supplier_feed (supplier, status, digest, as_of, pulled_at, rows, known, held, stocked, units,
                               approved_by)
    VALUES (:supplier, :status, :digest, :as_of, :now, :rows, :known, :held, :stocked, :units, :approved_by)
    """
)
_STORE = text(
    """
    WITH given AS (
        SELECT * FROM unnest(CAST(:skus AS text[]), CAST(:codes AS text[]), CAST(:quantities AS bigint[]),
                             CAST(:promised AS timestamptz[])) AS given (sku, code, quantity, promised_at)
    ), before AS (
        SELECT sku, quantity, promised_at FROM supplier_stock WHERE supplier = :supplier
    ), stored AS (
        INSERT INTO supplier_stock (supplier, sku, code, quantity, as_of, promised_at, pulled_at)
        SELECT :supplier, sku, code, quantity, :as_of, promised_at, :now FROM given ORDER BY sku
        ON CONFLICT (supplier, sku) DO UPDATE
        SET code = EXCLUDED.code, quantity = EXCLUDED.quantity, as_of = EXCLUDED.as_of,
            promised_at = EXCLUDED.promised_at, pulled_at = EXCLUDED.pulled_at
    )
    SELECT given.sku FROM given LEFT JOIN before USING (sku)
    WHERE before.sku IS NULL OR (before.quantity, before.promised_at)
          IS DISTINCT FROM (given.quantity, given.promised_at)
    """
)
_GONE = text(
    """
    WITH gone AS (
        SELECT sku, quantity FROM supplier_stock
        WHERE supplier = :supplier AND NOT sku = ANY(:present) FOR UPDATE
    ), emptied AS (
        UPDATE supplier_stock SET quantity = 0, promised_at = NULL, as_of = :as_of, pulled_at = :now
        FROM gone WHERE supplier_stock.supplier = :supplier AND supplier_stock.sku = gone.sku
    )
    SELECT sku FROM gone WHERE quantity > 0
    """
)


def note_reading(connection: Connection, supplier: str, reading: FeedReading, *, now: datetime) -> None:
    connection.execute(
        _NOTE,
        {
            "supplier": supplier,
            "now": now,
            **{name: getattr(reading, name) for name in FeedReading.__slots__},
        },
    )


def lock_supplier(connection: Connection, supplier: str) -> None:
    """Two readings of one supplier wait for each other until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 11))"), {"name": supplier})


def store(
    connection: Connection,
    supplier: str,
    lines: Sequence[Said],
    *,
    as_of: datetime,
    whole: bool,
    kept: Collection[str] = (),
    now: datetime,
) -> set[str]:
    """Keep what a feed says. Returns the SKUs whose number or date changed.

    With `whole`, what is not in it the supplier no longer has, but for `kept`, whose rows were held back."""
    values = {"supplier": supplier, "as_of": as_of, "now": now}
    changed = {
        row.sku
        for row in connection.execute(
            _STORE,
            {
                **values,
                "skus": [line.sku for line in lines],
                "codes": [line.code for line in lines],
                "quantities": [line.quantity for line in lines],
                "promised": [line.promised_at for line in lines],
            },
        )
    }
    if whole:
        present = sorted({line.sku for line in lines} | set(kept))
        changed |= {row.sku for row in connection.execute(_GONE, {**values, "present": present})}
    return changed
