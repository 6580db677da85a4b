"""What the ladder lets a channel show while somebody is in trouble, as caps on its listings. They only take away."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, text

from inventory.outages.ladder import allowed_beside, allowed_here
from inventory.outages.outage_words import LadderStep
from inventory.publishing.positions import Position, Stock

WHOLE_CHANNEL = ""
ANYTHING = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Allowed:
    """`percent` as in `inventory.outages.ladder`. `hard`: what is shown beyond it is taken back; else it is only not
    raised. `beside`: the channel in trouble, for whose sake another one is limited; empty: it is its own limit."""

    percent: int
    hard: bool
    beside: str = ""


Limits = Mapping[tuple[str, str], tuple[Allowed, ...]]
"""{(channel, SKU or WHOLE_CHANNEL): what it may show}"""


def limits_now(connection: Connection, skus: Collection[str]) -> Limits:
    rows = connection.execute(
        text(
            "SELECT channel, on_channel, sku, step, percent FROM fallback_step "
            "WHERE ended_at IS NULL AND step = ANY(:steps) AND (sku = '' OR sku = ANY(:skus)) ORDER BY id"
        ),
        {"steps": [LadderStep.HIDE.value, LadderStep.THROTTLE.value, LadderStep.RAISE.value], "skus": sorted(skus)},
    )
    found: dict[tuple[str, str], tuple[Allowed, ...]] = {}
    for row in rows:
        key = (row.on_channel, row.sku)
        beside = "" if row.channel == row.on_channel else row.channel
        found[key] = (*found.get(key, ()), Allowed(row.percent, row.step != LadderStep.RAISE, beside))
    return found


def within_limits(positions: Sequence[Position], stock: Mapping[str, Stock], limits: Limits) -> list[Position]:
    """The positions with the limits as caps; a hidden SKU is hidden in its bundles, too. Who asks before it sells can
    sell nothing that is not there, and is left alone."""
    exposed: dict[tuple[str, str], int] = defaultdict(int)
    for one in positions:
        for sku, pieces in one.components.items():
            # One that was never read may show anything.
            exposed[one.channel, sku] += ANYTHING if one.exposure is None else one.exposure * pieces
    return [one if one.asks_first else _within(one, stock, limits, exposed) for one in positions]


def _within(
    one: Position, stock: Mapping[str, Stock], limits: Limits, exposed: Mapping[tuple[str, str], int]
) -> Position:
    caps = [] if one.cap is None else [one.cap]
    for key in (WHOLE_CHANNEL, *one.components):
        for allowed in limits.get((one.channel, key), ()):
            units = min(
                (
                    _pieces(allowed, stock[sku].sellable(one.locations), exposed.get((allowed.beside, sku), 0))
                    // pieces
                    for sku, pieces in one.components.items()
                    if key in (WHOLE_CHANNEL, sku)
                ),
                default=0,
            )
            caps.append(units if allowed.hard else max(units, one.exposure or 0))
    return replace(one, cap=min(caps)) if caps else one


def _pieces(allowed: Allowed, sellable: int, exposed: int) -> int:
    if allowed.beside:
        return allowed_beside(sellable, allowed.percent, exposed)
    return allowed_here(sellable, allowed.percent)
