"""Exposure: how much a channel may have sold unseen, plus how much it may still sell.

For every listing `listing.exposure` is an upper bound of that, in listing units, and it is kept so:

- It **grows before** a higher number is sent, by the worst case: with compare-and-set by the raise itself,
  with an absolute write by the whole new number, because everything that was live may have been sold in
  the moment before (`Growth`). It grows when a channel put reversed units back on its own counter.
- It **falls** by each order that is read, and by a compare-and-set that succeeded in lowering: when the channel has
  said so and then was seen to show no more (`fall`). What it says by itself is not enough.
- It falls to what was *observed* only on evidence. A read shows the live quantity `x`; all that was sold
  before the read is known once a complete pull has *started* later than the read ended plus the time an
  order may take to become visible. Both instants are of our own clock, so a lying channel clock does not
  matter. Until then `settling` carries the bound that will hold then; `settle` applies it.
- A read that was under way when units were noted that the channel had put back may have seen the counter without
  them: it is no evidence.
- While a write is on its way or in doubt (`unconfirmed_until`) nothing that is observed counts as evidence,
  because the write may still arrive. An answered write is an observation by itself.
- A bound that is waiting to settle is not replaced by a later observation: reads that come faster than
  pulls would postpone it for ever. A later observation of more than that lifts it: a channel that said it had
  applied a lower number, and did not, is believed only as far as it was seen to.

- Of a channel that a switch has taken off sale, what it shows counts as zero from the confirmation on.
- A channel that asks for a hold before each sale (`asks_first`) is promised nothing by what it shows: its
  listings have no exposure, and what it may sell is what is free beside the exposure of the others.

This is escrow (O'Neil 1986) with bounded counters (Balegas et al. 2015) for counters that cannot be asked.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

_LOCKED = "SELECT id, sku, exposure FROM listing WHERE id = ANY(:ids) ORDER BY id FOR UPDATE"

_NOTE_SALES = text(
    f"""
    WITH locked AS MATERIALIZED ({_LOCKED}),
    seen AS (SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:sold AS int[]), CAST(:back AS int[]))
                           AS seen (id, sold, back))
    UPDATE listing
    SET exposure = greatest(listing.exposure - seen.sold + seen.back, 0), settling = listing.settling + seen.back,
        put_back_at = CASE WHEN seen.back > 0 THEN :now ELSE listing.put_back_at END
    FROM locked JOIN seen ON seen.id = locked.id
    -- greatest() passes over NULL: without the condition a listing that was never read would look empty.
    WHERE listing.id = locked.id AND listing.exposure IS NOT NULL
    RETURNING listing.sku, listing.id,
              CASE WHEN NOT (SELECT asks_first FROM channel WHERE code = listing.channel)
                   THEN seen.sold - locked.exposure END AS beyond
    """
)

_SETTLE = text(
    """
    WITH due AS MATERIALIZED (
        SELECT listing.id, listing.sku, listing.exposure,
               -- An answer is the channel's word; what counts is what was seen since.
               coalesce(listing.observed_at >= listing.settling_since, false) AS seen
        FROM listing JOIN channel ON channel.code = listing.channel
        WHERE listing.channel = :channel AND listing.settling IS NOT NULL AND listing.unconfirmed_until IS NULL
          AND listing.settling_since + make_interval(secs => channel.settle_seconds) <= :pull_started
          AND NOT EXISTS (
              SELECT FROM quarantined_row AS held
              WHERE held.suite = 'orders_pulled' AND held.channel = listing.channel AND held.status = 'open'
                AND (held.listing_ref IS NULL OR held.listing_ref = listing.ref)
          )
        ORDER BY listing.id FOR UPDATE OF listing
    ), settled AS (
        UPDATE listing
        SET exposure = least(listing.exposure, listing.settling), settling = NULL, settling_since = NULL, fall = 0
        FROM due WHERE listing.id = due.id AND due.seen
        -- More than was seen last: units were put back and sold meanwhile. Only another look can tell.
        RETURNING listing.sku, listing.exposure < due.exposure OR listing.exposure > listing.observed AS again
    )
    SELECT sku, again FROM settled UNION ALL SELECT sku, true FROM due WHERE NOT seen
    """
)

_OBSERVE = text(
    """
    WITH seen AS (
        SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:quantities AS int[]), CAST(:tracked AS bool[]))
                      AS seen (id, quantity, tracked)
    ), rows AS MATERIALIZED (
        SELECT * FROM listing WHERE id = ANY(:ids) ORDER BY id FOR UPDATE
    ), dark AS (
        -- Switched off as a whole since before the read: what it shows is not on sale (see `inventory.outages.pauses`).
        -- Locked, so that it is seen as it is when the listings are: the switch may be turned back just now.
        SELECT channel FROM channel_pause
        WHERE status = 'paused' AND by_switch AND confirmed_at <= :read_started FOR SHARE
    ), on_sale AS (
        SELECT rows.id, CASE WHEN rows.channel IN (SELECT channel FROM dark) THEN 0 ELSE greatest(seen.quantity, 0) END
                        AS quantity
        FROM rows JOIN seen USING (id)
    ), locked AS (
        SELECT rows.id, on_sale.quantity, channel.asks_first,
               coalesce(rows.confirmed_at <= :read_started, false) AS answered,
               -- It says that it was lowered, and shows no more than that.
               CASE WHEN rows.confirmed_at <= :read_started AND on_sale.quantity <= rows.confirmed
                    THEN rows.fall ELSE 0 END AS fall,
               coalesce(rows.unconfirmed_until > :read_started, false) AS doubt,
               NOT channel.asks_first AND coalesce(rows.put_back_at <= :read_started, true) AND (
                   coalesce(rows.unconfirmed_until <= :read_started, false)
                   OR (rows.unconfirmed_until IS NULL AND rows.settling IS NULL AND on_sale.quantity < rows.exposure)
               ) AS news
        FROM rows JOIN on_sale USING (id) JOIN channel ON channel.code = rows.channel
    )
    UPDATE listing
    SET observed = seen.quantity, observed_at = :read_ended, tracked = seen.tracked,
        exposure = CASE WHEN locked.asks_first THEN 0
                        ELSE greatest(listing.exposure - locked.fall, locked.quantity, 0) END,
        fall = CASE WHEN locked.answered THEN 0 ELSE listing.fall END,
        settling = CASE WHEN locked.news THEN locked.quantity
                        WHEN NOT locked.asks_first AND listing.settling IS NOT NULL
                        THEN greatest(listing.settling, locked.quantity) END,
        settling_since = CASE WHEN locked.news THEN :read_ended ELSE listing.settling_since END,
        unconfirmed_until = CASE WHEN locked.doubt THEN listing.unconfirmed_until END
    FROM seen JOIN locked ON locked.id = seen.id
    WHERE listing.id = seen.id AND (listing.published_at IS NULL OR listing.published_at <= :read_started)
    """
)


@dataclass(frozen=True, slots=True)
class Observation:
    listing_id: int
    quantity: int
    tracked: bool


def note_sales(
    connection: Connection, sold: Mapping[int, int], put_back: Mapping[int, int], *, now: datetime
) -> list[tuple[str, int, int]]:
    """Orders were read: `sold` listing units by listing id; `put_back`: reversed units the channel shows again.

    Returns (sku, listing id, units) where a channel sold more than its exposure allowed.
    """
    ids = sorted({*sold, *put_back})
    if not ids:
        return []
    rows = connection.execute(
        _NOTE_SALES,
        {
            "ids": ids,
            "sold": [sold.get(one, 0) for one in ids],
            "back": [put_back.get(one, 0) for one in ids],
            "now": now,
        },
    )
    return [(row.sku, row.id, row.beyond) for row in rows if row.beyond is not None and row.beyond > 0]


def observe(
    connection: Connection, observations: Sequence[Observation], *, read_started: datetime, read_ended: datetime
) -> None:
    """Note live quantities. What shows more than its exposure (put back, or a foreign write) is exposed to that much.

    A number sent after the read started may or may not be in it, so such a read is not used. A doubt that
    ended before the read started ends here: what is live now is what became of the write.
    """
    if observations:
        connection.execute(
            _OBSERVE,
            {
                "ids": [one.listing_id for one in observations],
                "quantities": [one.quantity for one in observations],
                "tracked": [one.tracked for one in observations],
                "read_started": read_started,
                "read_ended": read_ended,
            },
        )


def settle(connection: Connection, channel: str, *, pull_started: datetime) -> set[str]:
    """A complete pull that started then has been applied. Returns the SKUs to look at again: their exposure fell,
    or is more than the channel showed last, or nobody has looked since the channel said that it had applied a number.

    A sale that the gate holds back has been read but is not in the ledger: while it is open, its listing
    (any listing of the channel, if it does not say which) keeps the exposure it has.
    """
    rows = connection.execute(_SETTLE, {"channel": channel, "pull_started": pull_started})
    return {row.sku for row in rows if row.again}


_GROW = text(
    f"""
    WITH locked AS MATERIALIZED ({_LOCKED}),
    given AS (SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:growths AS int[]), CAST(:quantities AS int[]))
                            AS given (id, growth, quantity))
    UPDATE listing
    SET exposure = listing.exposure + given.growth, settling = listing.settling + given.growth, fall = 0,
        published = given.quantity, published_at = :now,
        unconfirmed_until = :now + make_interval(secs => channel.in_doubt_seconds)
    FROM locked JOIN given ON given.id = locked.id, channel
    WHERE listing.id = locked.id AND channel.code = listing.channel
    RETURNING listing.id, channel.in_doubt_seconds
    """
)

_ANSWER = text(
    f"""
    WITH locked AS MATERIALIZED ({_LOCKED}),
    given AS (SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:sent_ats AS timestamptz[]), CAST(:falls AS int[]),
                                   CAST(:applied AS bool[])) AS given (id, sent_at, fall, applied))
    UPDATE listing
    SET exposure = CASE WHEN given.applied THEN listing.exposure ELSE greatest(listing.exposure - given.fall, 0) END,
        fall = CASE WHEN given.applied THEN given.fall ELSE 0 END,
        settling = CASE WHEN channel.asks_first THEN NULL
                        WHEN given.applied THEN listing.published
                        WHEN listing.settling IS NOT NULL THEN greatest(listing.settling - given.fall, 0) END,
        settling_since = CASE WHEN given.applied THEN :now ELSE listing.settling_since END,
        confirmed = CASE WHEN given.applied THEN listing.published ELSE listing.confirmed END,
        confirmed_at = CASE WHEN given.applied THEN :now ELSE listing.confirmed_at END,
        unconfirmed_until = NULL
    FROM locked JOIN given ON given.id = locked.id, channel
    -- An answer that comes when the doubt is over has been overtaken by what was observed, or by another write.
    WHERE listing.id = locked.id AND listing.unconfirmed_until IS NOT NULL AND listing.published_at = given.sent_at
      AND channel.code = listing.channel
    """
)


@dataclass(frozen=True, slots=True)
class Sending:
    listing_id: int
    quantity: int
    growth: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The channel's word on a write. `fall`: how much the exposure falls by it: at once where nothing was applied, else
    when the number was seen."""

    listing_id: int
    sent_at: datetime
    applied: bool
    fall: int


def grow(connection: Connection, sendings: Sequence[Sending], *, now: datetime) -> dict[int, datetime]:
    """Numbers are about to be sent: count their worst case, and put the listings in doubt until answered.

    Returns for each listing until when its number may leave: the first half of its time of doubt is for us to
    send it, the second for the channel to apply it. The caller holds the balance locks of the SKUs, and sends
    after this is committed: a process that dies in between leaves the worst case counted.
    """
    if not sendings:
        return {}
    ordered = sorted(sendings, key=lambda one: one.listing_id)
    rows = connection.execute(
        _GROW,
        {
            "ids": [one.listing_id for one in ordered],
            "growths": [one.growth for one in ordered],
            "quantities": [one.quantity for one in ordered],
            "now": now,
        },
    )
    return {row.id: now + timedelta(seconds=row.in_doubt_seconds / 2) for row in rows}


def answered(connection: Connection, answers: Sequence[Answered], *, now: datetime) -> None:
    """The channel answered: applied, or certainly not. A write without an answer is left in doubt."""
    if answers:
        ordered = sorted(answers, key=lambda one: one.listing_id)
        connection.execute(
            _ANSWER,
            {
                "ids": [one.listing_id for one in ordered],
                "sent_ats": [one.sent_at for one in ordered],
                "falls": [one.fall for one in ordered],
                "applied": [one.applied for one in ordered],
                "now": now,
            },
        )


def exposed_units(connection: Connection, skus: Collection[str]) -> dict[str, int]:
    """Pieces of each SKU that all listings together may sell unseen, also in bundles."""
    rows = connection.execute(
        text(
            """
            WITH RECURSIVE sold_as (component, sku, pieces, depth) AS (
                SELECT sku, sku, 1::bigint, 1 FROM unnest(CAST(:skus AS text[])) AS wanted (sku)
                UNION ALL
                SELECT sold_as.component, part.bundle_sku, sold_as.pieces * part.quantity, sold_as.depth + 1
                FROM sold_as JOIN bundle_component part ON part.component_sku = sold_as.sku
                WHERE sold_as.depth < 10
            )
            SELECT sold_as.component AS sku,
                   sum(sold_as.pieces * listing.units_per_listing * listing.exposure)::bigint AS pieces
            FROM sold_as JOIN listing ON listing.sku = sold_as.sku
            WHERE listing.exposure > 0 GROUP BY sold_as.component
            """
        ),
        {"skus": sorted(set(skus))},
    )
    return {row.sku: row.pieces for row in rows}
