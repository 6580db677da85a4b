"""What a publish pass has to know besides the stock: the policy in force, what was learned, lags, dark channels.

Read once a pass, in two statements (the guards of promotions have their own), and in a third one where a policy needs
to know the demand of SKUs. What does not change from pass to pass (`Remembered`) is handed back in and read again only
when it did.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.orders.order_history import DAY
from inventory.outages.darkness import STALE, SUPPOSED_LAG, Outage
from inventory.policies.foreseen import Foreseen, foresee
from inventory.policies.learned import MarketFacts, SkuDemand, demand_of, facts_from, moment_at, moment_of
from inventory.policies.policy_file import STRICT_FOR_ALL, PolicyFile, Terms, parse_policy_file
from inventory.publishing.positions import POLICY_VERSION, Demand, Position
from inventory.publishing.promotions import Guards, guards_for
from inventory.publishing.unseen import Unseen
from inventory.replaying.replay_demand import planned_end
from inventory.replaying.replay_shelf import Darkness


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """The policy and the facts of the market by their numbers, from an earlier pass."""

    version: int = 0
    content_hash: str = ""
    file: PolicyFile = STRICT_FOR_ALL
    learned: int = 0
    facts: MarketFacts | None = None


@dataclass(slots=True, eq=False)
class Guidance:
    at: datetime
    remembered: Remembered = field(default_factory=Remembered)
    lags: Mapping[str, float] = field(default_factory=dict)
    """{channel: seconds}, as far as measured"""
    dark: Mapping[str, Outage] = field(default_factory=dict)
    """Channels that were noticed to be dark, or were not read to the end since."""
    unread: frozenset[str] = frozenset()
    """Channels that were not read for too long; those of `dark`, and those that nobody has noticed yet."""
    outages: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)
    """Those of each channel that ended in the last four weeks: (start, end) as seconds of the epoch, by start."""
    demand: Mapping[str, SkuDemand] = field(default_factory=dict)
    pool: Mapping[str, tuple[int | None, int]] = field(default_factory=dict)
    """{SKU: (pieces, safety)}: what is noted to be kept from those who ask first (`inventory.holds.pool`)"""
    guards: Guards = field(default_factory=dict)
    """Of promotions, for these SKUs and those that they share bundles with."""
    trying: PolicyFile | None = None
    """A file to be tried instead of the one in force."""
    _terms: dict[tuple[str, str], Terms] = field(default_factory=dict)

    @property
    def file(self) -> PolicyFile:
        return self.trying or self.remembered.file

    def terms(self, channel: str, item_class: str) -> Terms:
        key = (channel, item_class)
        if key not in self._terms:
            self._terms[key] = self.file.terms(channel, item_class, self.at)
        return self._terms[key]

    def version(self, terms: Terms) -> str:
        """As it is noted beside each number."""
        if self.trying is not None:
            return f"on trial: {terms.label}"
        if not self.remembered.version:
            return POLICY_VERSION
        return f"{self.remembered.version}-{self.remembered.content_hash[:8]}: {terms.label}"

    def demand_of(self, channel: str, sku: str, *, asks_first: bool, listings: int) -> Demand | None:
        """What one of the channel's `listings` of the SKU may sell unseen. None: nothing was learned yet."""
        facts = self.remembered.facts
        if facts is None or not self.file.learns:
            return None
        known = self.demand.get(sku, facts.prior)
        prior = facts.prior.rates.get(channel, max(facts.prior.rates.values(), default=0.0))
        rate = known.rates.get(channel, prior) / max(1, listings)
        sizes = facts.calendar.sizes[min(known.size_class, len(facts.calendar.sizes) - 1)]
        lag = self.lags.get(channel, SUPPOSED_LAG)
        span, usual = round(lag * 1000), facts.calendar.busiest(round(lag * 1000))
        moment = moment_of(self.at)
        outage = self.dark.get(channel)
        if outage is not None:
            begin, end = self._darkness(outage, moment, span)
            days = facts.calendar.days_between(begin, end)
            return Demand(rate, rate * usual, Unseen(rate * days, known.shape, sizes), (end - begin) / 1000)
        # Who asks first is known at once; only the lowering of the others takes its time.
        part = 0.5 if asks_first else 1.0
        now = facts.calendar.busiest_between(moment, moment + max(1, span))
        leaving = None if asks_first else self._foreseen(channel, moment, span)
        return Demand(
            rate,
            rate * usual * part,
            Unseen(rate * now * part, known.shape, sizes),
            lag,
            Unseen(rate * facts.calendar.days_between(leaving.begin, leaving.end), known.shape, sizes)
            if leaving is not None
            else None,
        )

    def _foreseen(self, channel: str, moment: int, lag: int) -> Foreseen | None:
        """The outage of the channel that is to be expected any moment now."""
        earlier = [(0, moment_at(start), moment_at(end)) for start, end in self.outages.get(channel, ())]
        return next((one for one in foresee(earlier, lag) if one.start <= moment < one.until), None)

    def _darkness(self, outage: Outage, moment: int, lag: int) -> tuple[int, int]:
        """From the last moment up to which its orders are known to the one when it is likely to be read again."""
        start = moment_of(outage.began_at)
        planned = round(outage.planned / timedelta(milliseconds=1))
        end = planned_end(Darkness(0, start, start + 365 * DAY, planned), moment)
        return start - lag // 2, end + lag // 2


def guided(positions: Sequence[Position], classes: Mapping[int, str], guidance: Guidance) -> list[Position]:
    """With the policy that holds for each, its limits, and what is known of its demand. `classes`: {listing id: the
    class of its item}."""
    same = Counter((one.channel, one.sku) for one in positions)
    found = []
    for one in positions:
        terms = guidance.terms(one.channel, classes[one.listing_id])
        limits = [cap for cap in (one.cap, terms.cap) if cap is not None]
        found.append(
            replace(
                one,
                terms=terms,
                policy_version=guidance.version(terms),
                cap=min(limits, default=None),
                share=one.share if terms.share is None else terms.share,
                dark=one.channel in guidance.unread,
                demand=guidance.demand_of(
                    one.channel, one.sku, asks_first=one.asks_first, listings=same[one.channel, one.sku]
                ),
            )
        )
    return found


def safety_of(positions: Sequence[Position]) -> dict[str, int]:
    """{SKU: pieces that policies keep from every channel}; a bundle's are kept of each of its components."""
    found: dict[str, int] = {}
    for one in positions:
        for sku in one.components if one.terms.safety else ():
            found[sku] = max(found.get(sku, 0), one.terms.safety)
    return found


_HEAD = text(
    """
    WITH RECURSIVE connected (sku) AS (
        SELECT sku FROM unnest(CAST(:skus AS text[])) AS wanted (sku)
        UNION
        SELECT CASE WHEN part.component_sku = connected.sku THEN part.bundle_sku ELSE part.component_sku END
        FROM connected JOIN bundle_component part ON connected.sku IN (part.component_sku, part.bundle_sku)
    )
    SELECT channel.code, channel_lag.seconds AS lag, outage.began_at, outage.planned_seconds,
           coalesce(channel.pulled_at + make_interval(secs => channel.pulls_every * :missed + :grace) < :now, false)
               AS stale, policy.version, policy.content_hash,
           CASE WHEN policy.version IS DISTINCT FROM :version THEN policy.content END AS content,
           (SELECT jsonb_object_agg(sku, jsonb_build_array(pieces, safety)) FROM pool_kept JOIN connected USING (sku))
               AS pool,
           (SELECT jsonb_agg(jsonb_build_array(extract(epoch FROM past.began_at), extract(epoch FROM past.ended_at))
                             ORDER BY past.began_at)
            FROM channel_outage AS past
            WHERE past.channel = channel.code AND past.ended_at > :now - interval '4 weeks') AS outages,
           learned.id AS learned, CASE WHEN learned.id IS DISTINCT FROM :learned THEN learned.facts END AS facts
    FROM channel
    LEFT JOIN channel_lag ON channel_lag.channel = channel.code
    LEFT JOIN channel_outage AS outage ON outage.channel = channel.code AND outage.ended_at IS NULL
    LEFT JOIN (SELECT * FROM policy_version ORDER BY version DESC LIMIT 1) AS policy ON true
    LEFT JOIN (SELECT * FROM learned_market ORDER BY id DESC LIMIT 1) AS learned ON true
    """
)


def read_guidance(
    connection: Connection,
    skus: Collection[str],
    *,
    now: datetime,
    remembered: Remembered | None = None,
    trying: PolicyFile | None = None,
) -> Guidance:
    """For a pass over these SKUs."""
    before = remembered or Remembered()
    rows = connection.execute(
        _HEAD, {"now": now, "skus": sorted(skus), "version": before.version, "learned": before.learned, **STALE}
    ).all()
    found = Guidance(now, before, guards=guards_for(connection, skus, now), trying=trying)
    if rows:
        found.remembered = _newer(before, rows[0])
        found.pool = {sku: (pieces, safety) for sku, (pieces, safety) in (rows[0].pool or {}).items()}
        found.lags = {row.code: row.lag for row in rows if row.lag is not None}
        found.dark = {
            row.code: Outage(row.code, row.began_at, timedelta(seconds=row.planned_seconds))
            for row in rows
            if row.began_at is not None
        }
        found.outages = {row.code: [(start, end) for start, end in row.outages] for row in rows if row.outages}
        found.unread = frozenset(row.code for row in rows if row.stale or row.began_at is not None)
    if found.file.learns and found.remembered.facts is not None:
        found.demand = demand_of(connection, skus)
    return found


def _newer(before: Remembered, row: "object") -> Remembered:
    version, content, learned, facts = (getattr(row, name) for name in ("version", "content", "learned", "facts"))
    return Remembered(
        version or 0,
        getattr(row, "content_hash", None) or "",
        parse_policy_file(content) if content is not None else before.file if version else STRICT_FOR_ALL,
        learned or 0,
        facts_from(facts) if facts is not None else before.facts if learned else None,
    )
