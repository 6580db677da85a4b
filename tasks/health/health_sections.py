"""The health report as sections: what each says, how bad it is, and its rows. The page, the artifacts and the terminal
all show these. Accuracy and failed syncs come first, whatever they are; then the worst."""

from collections.abc import Callable

from inventory.counting.counting_accuracy import ALL
from inventory.health.health_figures import Health
from inventory.health.health_sync import failed_rate
from tasks.health.health_causes import causes
from tasks.health.health_channels import budgets, cancellations, failed, gaps, patterns
from tasks.health.health_goods import accuracy, discrepancies, exposure, low, oldest, stranded, whole_accuracy
from tasks.health.health_section import Section
from tasks.health.health_words import State, number, seconds


def sections(health: Health) -> list[Section]:
    """Those that were measured."""
    first = [accuracy(health), failed(health)]
    others = [made for make in _OTHERS if (made := make(health)) is not None]
    return first + sorted(others, key=lambda one: -one.state)


def worst(found: list[Section]) -> State:
    return max((one.state for one in found), default=State.FINE)


def samples(health: Health) -> dict[tuple[str, str], float | None]:
    """{(name, subject): value} to be noted of the day."""
    everything = whole_accuracy(health)
    found: dict[tuple[str, str], float | None] = {("ira", ""): everything.ira_within if everything else None}
    found |= {
        ("ira", one.location): one.ira_within for one in health.accuracy if one.abc == ALL and one.location != ALL
    }
    found[("failed syncs", "")] = failed_rate(health.channels)
    found |= {("failed syncs", one.channel): one.failed / one.sent for one in health.channels if one.sent}
    found |= {("sync gap", "" if one.channel == ALL else one.channel): one.p95 for one in health.gaps}
    found |= {("cancelled", one.channel): one.share for one in health.cancellations}
    found |= {("discrepancies", one.subject): one.many for one in health.ages if one.by != "SKU"}
    found[("discrepancies", "")] = sum(health.discrepancies_open.values())
    found |= {("incidents", severity): many for severity, many in health.incidents_open.items()}
    found |= {("published", one.channel): one.published for one in health.budgets}
    if health.exposure is not None:
        found |= {("exposure", name): getattr(health.exposure, name) for name in ("exposed", "sellable", "beyond")}
        found[("oversold", "")] = health.exposure.oversold
    if health.shown is not None:
        found |= {("hidden", "stranded"): health.shown.stranded, ("hidden", "all hidden"): health.shown.hidden}
    if health.low is not None:
        found |= {("low stock", "low"): health.low.skus, ("low stock", "sold out"): health.low.sold_out}
    return found


def _incidents(health: Health) -> Section:
    opened = health.incidents_open
    many = sum(opened.values())
    state = State.CRITICAL if opened["critical"] else State.WARNING if opened["warning"] else State.FINE
    return Section(
        "incidents",
        "Open incidents",
        state,
        number(many),
        f"{opened['critical']:,} critical, {opened['warning']:,} warnings; docs/runbooks.md says what to do."
        if many
        else "None is open.",
        [
            {
                "severity": one.severity,
                "kind": one.kind,
                "about": one.subject,
                "open for": seconds((health.at - one.first_at).total_seconds()),
                "times": number(one.times),
                "message": one.message,
            }
            for one in health.incidents
        ],
        "incidents",
    )


_OTHERS: tuple[Callable[[Health], Section | None], ...] = (
    _incidents,
    exposure,
    gaps,
    cancellations,
    discrepancies,
    stranded,
    low,
    budgets,
    oldest,
    patterns,
    causes,
)
"""Of two that are equally bad the one that stands first here."""
