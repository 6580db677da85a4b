"""What the ladder lets a channel show while somebody is in trouble, as caps on its listings. They only take away."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil

from sqlalchemy import Connection, text

from inventory.outage_words import LadderStep
from inventory.positions import Position, Stock

WHOLE_CHANNEL = ""


@dataclass(frozen=True, slots=True)
class Allowed:
    """Percent of what is sellable. `hard`: what is shown beyond it is taken back; else it is only not raised."""

    percent: int
    hard: bool


Limits = Mapping[tuple[str, str], tuple[Allowed, ...]]
"""{(channel, SKU or WHOLE_CHANNEL): what it may show}"""


def limits_now(connection: Connection, skus: Collection[str]) -> Limits:
    rows = connection.execute(
        text(
            "SELECT on_channel, sku, step, min(percent) AS percent FROM fallback_step "
            "WHERE ended_at IS NULL AND step = ANY(:steps) AND (sku = '' OR sku = ANY(:skus)) "
            "GROUP BY on_channel, sku, step"
        ),
        {"steps": [LadderStep.HIDE.value, LadderStep.THROTTLE.value, LadderStep.RAISE.value], "skus": sorted(skus)},
    )
    found: dict[tuple[str, str], tuple[Allowed, ...]] = {}
    for row in rows:
        key = (row.on_channel, row.sku)
        found[key] = (*found.get(key, ()), Allowed(row.percent, row.step != LadderStep.RAISE))
    return found


def within_limits(positions: Iterable[Position], stock: Mapping[str, Stock], limits: Limits) -> list[Position]:
    """The positions with the limits as caps; a hidden SKU is hidden in its bundles, too. Who asks before it sells can
    sell nothing that is not there, and is left alone."""
    return [one if one.asks_first else _within(one, stock, limits) for one in positions]


def _within(one: Position, stock: Mapping[str, Stock], limits: Limits) -> Position:
    caps = [] if one.cap is None else [one.cap]
    for key in (WHOLE_CHANNEL, *one.components):
        for allowed in limits.get((one.channel, key), ()):
            units = min(
                (
                    ceil(stock[sku].sellable(one.locations) * allowed.percent / 100) // pieces
                    for sku, pieces in one.components.items()
                ),
                default=0,
            )
            caps.append(units if allowed.hard else max(units, one.exposure or 0))
    return replace(one, cap=min(caps)) if caps else one
