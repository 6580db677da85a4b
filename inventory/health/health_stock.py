"""Stock that is not for sale although it could be, and stock that soon will not be there."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

MONTH = timedelta(days=28)
WEEK = timedelta(days=7)
MOST = 50


@dataclass(frozen=True, slots=True)
class Stranded:
    """A SKU of which pieces could be sold, and no channel shows any."""

    sku: str
    sellable: int
    value: float | None
    """At cost. None: the cost is not known."""
    why: str


@dataclass(frozen=True, slots=True)
class Shown:
    """Pieces, of all SKUs with any to sell."""

    sellable: int
    hidden: int
    """Of the sellable, those that no channel shows: of SKUs that are shown in part, and of stranded ones."""
    stranded: int
    """Of the hidden, those of SKUs that no channel shows at all."""
    stranded_skus: int
    worst: tuple[Stranded, ...]
    """The largest."""


_STOCK = """
    stock AS (
        SELECT item.sku, greatest(0, sum(balance.quantity) - item.accuracy_margin - item.safety_stock)::bigint
                         AS sellable
        FROM item JOIN balance ON balance.sku = item.sku AND balance.state = 'available' AND balance.quantity > 0
        GROUP BY item.sku
    )
"""
_SHOWN = text(
    f"""
    WITH RECURSIVE {_STOCK}, sold_as (component, sku, pieces, depth) AS (
        SELECT sku, sku, 1::bigint, 1 FROM stock WHERE sellable > 0
        UNION ALL
        SELECT sold_as.component, part.bundle_sku, sold_as.pieces * part.quantity, sold_as.depth + 1
        FROM sold_as JOIN bundle_component part ON part.component_sku = sold_as.sku
        WHERE sold_as.depth < 10
    ), paused AS (
        SELECT DISTINCT channel FROM channel_pause WHERE status <> 'lifted'
    ), listed AS (
        SELECT sold_as.component AS sku,
               -- What was seen last: a read after the last confirmation, else that.
               sum(greatest(0, CASE WHEN listing.observed_at > coalesce(listing.confirmed_at, '-infinity')
                                    THEN listing.observed ELSE coalesce(listing.confirmed, listing.observed, 0) END)
                   * sold_as.pieces * listing.units_per_listing)::bigint AS shown,
               min(sold_as.pieces * listing.units_per_listing) AS smallest,
               bool_or(channel.mode = 'live') AS live, bool_and(paused.channel IS NOT NULL) AS paused,
               bool_or(listing.held_since IS NOT NULL) AS held, bool_or(listing.disputed_since IS NOT NULL) AS disputed,
               bool_or(listing.unconfirmed_until IS NOT NULL) AS in_doubt
        FROM sold_as JOIN listing ON listing.sku = sold_as.sku JOIN channel ON channel.code = listing.channel
        LEFT JOIN paused ON paused.channel = listing.channel
        GROUP BY sold_as.component
    ), found AS (
        SELECT stock.sku, stock.sellable, least(stock.sellable, coalesce(listed.shown, 0)) AS shown,
               CASE WHEN listed.sku IS NULL THEN 'no channel lists it'
                    WHEN NOT live THEN 'no channel that lists it is live'
                    WHEN paused THEN 'every channel that lists it is paused'
                    WHEN held THEN 'the gate holds its number back'
                    WHEN disputed THEN 'somebody else writes its number'
                    WHEN in_doubt THEN 'a write is in doubt'
                    WHEN smallest > sellable THEN 'less is left than one listing unit'
                    ELSE '' END AS why
        FROM stock LEFT JOIN listed USING (sku) WHERE stock.sellable > 0
    )
    SELECT sum(sellable)::bigint AS sellable, sum(sellable - shown)::bigint AS hidden,
           coalesce(sum(sellable) FILTER (WHERE shown = 0), 0)::bigint AS stranded,
           count(*) FILTER (WHERE shown = 0) AS skus,
           coalesce((SELECT jsonb_agg(jsonb_build_array(one.sku, one.sellable, one.sellable * item_cost.unit_cost,
                            CASE WHEN one.why <> '' THEN one.why
                                 WHEN EXISTS (SELECT FROM balance JOIN channel_location USING (location)
                                              WHERE balance.sku = one.sku AND balance.state = 'available'
                                                AND balance.quantity > 0) THEN 'the policy gives no channel any'
                                 ELSE 'no channel sells from where it lies' END) ORDER BY one.sellable DESC, one.sku)
                     FROM (SELECT * FROM found WHERE shown = 0 ORDER BY sellable DESC, sku LIMIT :most) AS one
                     LEFT JOIN item_cost ON item_cost.sku = one.sku), '[]') AS worst
    FROM found
    """  # noqa: S608
)


def shown_stock(connection: Connection, *, most: int = MOST) -> Shown:
    row = connection.execute(_SHOWN, {"most": most}).one()
    worst = tuple(
        Stranded(sku, int(sellable), None if value is None else float(value), why)
        for sku, sellable, value, why in row.worst
    )
    return Shown(row.sellable or 0, row.hidden or 0, row.stranded, row.skus, worst)


@dataclass(frozen=True, slots=True)
class LowStock:
    """A SKU that will be sold out soon if it goes on as lately. Pieces."""

    sku: str
    sellable: int
    a_day: float
    """The faster of the last week and the last four weeks, bundles taken apart."""
    days: float
    """Until it is sold out."""
    inbound: int
    promised_at: datetime | None
    """When suppliers will have more here, as they say."""


_LOW = text(
    f"""
    WITH {_STOCK}, ordered AS (
        SELECT part.key AS sku, reservation.placed_at, line.quantity * part.value::bigint AS pieces
        FROM reservation JOIN order_line AS line USING (holder)
        CROSS JOIN LATERAL jsonb_each_text(line.components) AS part
        WHERE reservation.kind = 'order' AND reservation.channel IN (SELECT code FROM channel)
          AND reservation.placed_at > :month AND reservation.placed_at <= :now
    ), span AS (
        -- A ledger that began last week has sold for a week.
        SELECT greatest(1, extract(epoch FROM CAST(:now AS timestamptz) - min(placed_at)) / 86400) AS days FROM ordered
    ), sold AS (
        SELECT sku, greatest(sum(pieces) / least(28, (SELECT days FROM span)),
                             coalesce(sum(pieces) FILTER (WHERE placed_at > :week), 0)
                                 / least(7, (SELECT days FROM span)))::float AS a_day
        FROM ordered GROUP BY sku HAVING sum(pieces) > 0
    ), low AS (
        SELECT sku, coalesce(stock.sellable, 0) AS sellable, sold.a_day,
               (coalesce(stock.sellable, 0) / sold.a_day)::float AS days
        FROM sold LEFT JOIN stock USING (sku)
        WHERE coalesce(stock.sellable, 0) < :within * sold.a_day
    ), shown AS (
        SELECT *, count(*) OVER () AS many, count(*) FILTER (WHERE sellable = 0) OVER () AS out
        FROM low ORDER BY days, a_day DESC, sku LIMIT :most
    )
    SELECT shown.sku, sellable, a_day, days,
           coalesce((SELECT sum(quantity) FROM balance WHERE balance.sku = shown.sku AND state = 'inbound'), 0)::bigint
               AS inbound,
           (SELECT min(promised_at) FROM purchase_line
            WHERE purchase_line.sku = shown.sku AND ordered > received AND promised_at > :now) AS promised_at,
           many, out
    FROM shown ORDER BY days, a_day DESC, sku
    """  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class Low:
    skus: int
    sold_out: int
    """Of them, those of which nothing is left."""
    worst: tuple[LowStock, ...]
    """The soonest."""


def low_stock(connection: Connection, *, within_days: float, now: datetime, most: int = MOST) -> Low:
    """What will be sold out within so many days, among SKUs that were sold within the last four weeks."""
    rows = connection.execute(
        _LOW, {"within": within_days, "now": now, "month": now - MONTH, "week": now - WEEK, "most": most}
    ).all()
    worst = tuple(
        LowStock(row.sku, int(row.sellable), row.a_day, row.days, row.inbound, row.promised_at) for row in rows
    )
    return Low(rows[0].many if rows else 0, rows[0].out if rows else 0, worst)
