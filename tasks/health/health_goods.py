"""The sections about the stock: accuracy, exposure, what is shown nowhere, what runs low, what differs."""

from inventory.counting.counting_accuracy import ALL, Accuracy
from inventory.health.health_figures import Health
from inventory.reconciling.drift_report import BUCKETS
from tasks.health.health_section import Section
from tasks.health.health_words import State, judged, moment, number, percent, seconds

ENOUGH_BINS = 30
"""Of fewer counted a low accuracy may be chance, and is no more than a warning."""


def whole_accuracy(health: Health) -> Accuracy | None:
    return next((one for one in health.accuracy if one.location == one.abc == ALL and one.bins), None)


def accuracy(health: Health) -> Section:
    whole = whole_accuracy(health)
    if whole is None:
        said = "Nothing was counted within 91 days: nobody knows how true the record is."
        return Section("accuracy", "Inventory record accuracy", State.UNKNOWN, "–", said, [], "ira")
    targets, within = health.targets, whole.ira_within or 0.0
    state = judged(1 - within, round(1 - targets.ira_warning, 9), round(1 - targets.ira_critical, 9))
    if whole.bins < ENOUGH_BINS:
        state = min(state, State.WARNING)
    ordered = sorted(health.accuracy, key=lambda one: (one.location != ALL, one.abc != ALL, one.ira_within or 0.0))
    return Section(
        "accuracy",
        "Inventory record accuracy",
        state,
        percent(within),
        f"{percent(within)} of {whole.bins:,} bins counted within 91 days were right within tolerance, "
        f"{percent(whole.ira_exact)} exactly; of the {whole.sampled:,} whose turn it simply was (the fair figure) "
        f"{percent(whole.sampled_within)}. Shrinkage {percent(whole.shrinkage, 2)}.",
        [
            {
                "location": one.location,
                "class": one.abc,
                "bins": number(one.bins),
                "within tolerance": percent(one.ira_within),
                "exact": percent(one.ira_exact),
                "fair sample": percent(one.sampled_within),
                "units missing": number(one.units_missing),
                "units found": number(one.units_found),
                "shrinkage": percent(one.shrinkage, 2),
            }
            for one in ordered
        ],
        "ira",
    )


def exposure(health: Health) -> Section | None:
    found, tightest = health.exposure, health.tightest
    if found is None or tightest is None:
        return None
    return Section(
        "exposure",
        "Exposure",
        State.CRITICAL if found.beyond else State.FINE,
        number(found.beyond),
        f"{found.exposed:,} pieces may be sold unseen, of {found.sellable:,} sellable; at worst {found.beyond:,} of "
        f"them do not exist. Oversold until now: {found.oversold:,}.",
        [
            {
                "SKU": one.sku,
                "sellable": number(one.sellable),
                "exposed": number(one.exposed),
                "beyond": number(one.beyond),
                "left to ask for": number(one.pool),
                "listings never read": number(one.unread),
            }
            for one in tightest
        ],
        "exposure",
    )


def stranded(health: Health) -> Section | None:
    found = health.shown
    if found is None:
        return None
    share = found.stranded / found.sellable if found.sellable else None
    hidden = found.hidden / found.sellable if found.sellable else None
    state = judged(share, health.targets.stranded_warning, 2.0)
    return Section(
        "stranded",
        "Stranded stock",
        state,
        number(found.stranded),
        f"{found.stranded:,} pieces of {found.stranded_skus:,} SKUs could be sold and are shown nowhere; "
        f"{found.hidden:,} of {found.sellable:,} sellable pieces ({percent(hidden)}) "
        "are hidden in all.",
        [
            {
                "SKU": one.sku,
                "pieces": number(one.sellable),
                "worth": "–" if one.value is None else f"{one.value:,.2f}",
                "why": one.why,
            }
            for one in found.worst
        ],
        "hidden",
    )


def low(health: Health) -> Section | None:
    found = health.low
    if found is None:
        return None
    return Section(
        "low-stock",
        "Low stock",
        State.WARNING if found.skus else State.FINE,
        number(found.skus),
        f"{found.skus:,} SKUs that sell will be sold out within {health.targets.low_days:g} days at the pace of late; "
        f"{found.sold_out:,} are already.",
        [
            {
                "SKU": one.sku,
                "sellable": number(one.sellable),
                "a day": f"{one.a_day:,.1f}",
                "sold out in": "now" if not one.sellable else seconds(one.days * 86_400),
                "inbound": number(one.inbound),
                "promised for": moment(one.promised_at),
            }
            for one in found.worst
        ],
        "low stock",
    )


def discrepancies(health: Health) -> Section:
    opened = health.discrepancies_open
    many = sum(opened.values())
    state = State.CRITICAL if opened["critical"] else State.WARNING if opened["warning"] else State.FINE
    oldest = max((one.age.total_seconds() for one in health.discrepancies), default=None)
    said = f"{many:,} are open, {opened['critical']:,} of them critical; the oldest for {seconds(oldest)}."
    return Section(
        "discrepancies",
        "Age of discrepancies",
        state,
        number(many),
        said if many else "None is open.",
        [
            {
                "by": one.by,
                "which": one.subject,
                "open": number(one.many),
                **{name: number(count) for (name, _), count in zip(BUCKETS, one.buckets, strict=True)},
                "units": number(one.units),
                "oldest": seconds((health.at - one.oldest).total_seconds()),
            }
            for one in health.ages
        ],
        "discrepancies",
    )


def oldest(health: Health) -> Section | None:
    if not health.discrepancies:
        return None
    return Section(
        "open-discrepancies",
        "Open discrepancies",
        State.FINE,
        number(len(health.discrepancies)),
        "The most severe first, then the oldest; `resolve_discrepancy` settles one by its number.",
        [
            {
                "number": str(one.id),
                "severity": one.severity,
                "for": seconds(one.age.total_seconds()),
                "class": one.kind,
                "what": one.drift,
                "where": one.place,
                "SKU": one.sku,
                "ledger": number(one.expected),
                "other side": number(one.observed),
                "message": one.message,
            }
            for one in health.discrepancies
        ],
    )
