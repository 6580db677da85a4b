"""Which listings a reconciliation looks at: all, the hot ones, or a sample weighted to best sellers.

Everything is decided in SQL, and handed out in pages by key, so that a million listings need no memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.words import MovementReason

RECENT = timedelta(hours=2)
"""Stock that moved within this time is hot,"""
LOW = 5
"""and what has so few units available,"""
BEST_SELLERS = 200
"""and so many SKUs that sold the most units"""
SALES_WINDOW = timedelta(days=30)
"""within this time; and whatever has an open discrepancy."""


@dataclass(frozen=True, slots=True)
class ListingPage:
    refs: dict[str, int]
    """{ref: listing id}"""
    last: int


_SOLD = """
    SELECT sku, sum(quantity) AS units FROM movement
    WHERE recorded_at > :since AND reason = :sale GROUP BY sku
"""

_HOT = text(
    f"""
    WITH sold AS ({_SOLD}), wanted AS (
        SELECT sku FROM movement WHERE recorded_at > :recent
        UNION SELECT sku FROM balance WHERE state = 'available' GROUP BY sku HAVING sum(quantity) <= :low
        UNION (SELECT sku FROM sold ORDER BY units DESC, sku LIMIT :best)
        UNION SELECT sku FROM outbox
    ), sold_as AS (
        SELECT sku FROM wanted UNION
        SELECT bundle_sku FROM bundle_component JOIN wanted ON wanted.sku = component_sku
    )
    SELECT listing.id FROM listing JOIN sold_as ON sold_as.sku = listing.sku WHERE listing.channel = :channel
    UNION
    SELECT listing_id FROM discrepancy
    WHERE status = 'open' AND comparison = 'quantities' AND channel = :channel AND listing_id IS NOT NULL
    """  # noqa: S608
)

# A draw without replacement in which each listing's chance is as its weight: the largest of u^(1/weight)
# (Efraimidis and Spirakis 2006). u comes from the seed and the listing, so the same seed draws the same.
_SAMPLE = text(
    f"""
    WITH sold AS ({_SOLD}), drawn AS (
        SELECT listing.id, 1 + coalesce(sold.units, 0) AS weight,
               (('x' || substr(md5(:seed || ':' || listing.channel || ':' || listing.ref), 1, 12))::bit(48)::bigint + 1)
               / (2.0 ^ 48 + 1) AS u
        FROM listing LEFT JOIN sold ON sold.sku = listing.sku WHERE listing.channel = :channel
    )
    SELECT id FROM drawn ORDER BY ln(u) / weight DESC, id LIMIT :size
    """  # noqa: S608
)


def hot_listings(connection: Connection, channel: str, *, now: datetime) -> list[int]:
    """Ids of the listings whose SKU moved lately, is low, sells best, waits to be published, or drifted before."""
    rows = connection.execute(
        _HOT,
        {
            "channel": channel,
            "recent": now - RECENT,
            "since": now - SALES_WINDOW,
            "sale": MovementReason.SALE.value,
            "low": LOW,
            "best": BEST_SELLERS,
        },
    )
    return sorted(row.id for row in rows)


def sample_listings(connection: Connection, channel: str, *, seed: int, size: int, now: datetime) -> list[int]:
    """`size` listings, best sellers likelier: each by the units of its SKU sold lately, plus one. The same seed and
    the same sales draw the same listings."""
    rows = connection.execute(
        _SAMPLE,
        {
            "channel": channel,
            "seed": str(seed),
            "size": size,
            "since": now - SALES_WINDOW,
            "sale": MovementReason.SALE.value,
        },
    )
    return sorted(row.id for row in rows)


@dataclass(frozen=True, slots=True)
class Range:
    """The listings of one channel with these ids, both included."""

    first: int
    last: int


ALL = Range(0, 2**62)


def ranges_of(connection: Connection, channel: str, count: int) -> list[Range]:
    """The channel's listings in so many ranges of about equal size, or fewer if it has fewer listings. The first begins
    and the last ends where nothing is left out, also of what is added while they are read."""
    rows = connection.execute(
        text(
            "SELECT DISTINCT unnest(percentile_disc(CAST(:shares AS float8[])) WITHIN GROUP (ORDER BY id)) AS id "
            "FROM listing WHERE channel = :channel ORDER BY 1"
        ),
        {"channel": channel, "shares": [number / count for number in range(1, count)]},
    )
    ends = [row.id for row in rows if row.id is not None] if count > 1 else []
    return [Range(before + 1, end) for before, end in zip([ALL.first - 1, *ends], [*ends, ALL.last], strict=True)]


def pages_of(
    connection: Connection,
    channel: str,
    size: int,
    *,
    skus: Sequence[str] = (),
    ids: Sequence[int] | None = None,
    within: Range = ALL,
) -> Iterator[ListingPage]:
    """The listings of the channel, `size` at a time, by key: of these SKUs if there are any, of these ids if given, of
    those `within` a range.

    Commits after each page: nothing stays locked while a channel is asked.
    """
    if ids is not None:
        for start in range(0, len(ids), size):
            page = _page(connection, channel, size, "AND id = ANY(:ids)", ids=list(ids[start : start + size]))
            if page.refs:
                yield page
        return
    last = within.first - 1
    condition = "AND id > :last AND id <= :end" + (" AND sku = ANY(:skus)" if skus else "")
    while True:
        page = _page(connection, channel, size, condition, last=last, end=within.last, skus=list(skus))
        if not page.refs:
            return
        last = page.last
        yield page


def _page(connection: Connection, channel: str, size: int, condition: str, **values: object) -> ListingPage:
    """`condition` is our own SQL."""
    rows = connection.execute(
        text(f"SELECT id, ref FROM listing WHERE channel = :channel {condition} ORDER BY id LIMIT :size"),  # noqa: S608
        {"channel": channel, "size": size, **values},
    ).all()
    connection.commit()
    return ListingPage({row.ref: row.id for row in rows}, rows[-1].id if rows else 0)
