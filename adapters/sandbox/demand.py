"""What a day of orders asks for, and the limited stock it is played against."""

from collections import Counter

import numpy as np

from adapters.sandbox.trace import Trace
from inventory.skus import is_non_stock

SCARCE_UNITS = (1, 3)


def scaled(quantity: int, scale: float) -> int:
    """Units after scaling down, never below one."""
    return max(1, round(quantity * scale))


def demand_of(day: Trace, quantity_scale: float = 1.0) -> Counter[str]:
    """SKU → units that the day's shoppers ask for, goods only."""
    demand: Counter[str] = Counter()
    for order in day.orders:
        for line in order.lines:
            if not is_non_stock(line.sku):
                demand[line.sku] += scaled(line.quantity, quantity_scale)
    return demand


def hottest(day: Trace, count: int) -> list[str]:
    """The SKUs on the most orders, goods only."""
    orders: Counter[str] = Counter()
    for order in day.orders:
        orders.update({line.sku for line in order.lines if not is_non_stock(line.sku)})
    return sorted(orders, key=lambda sku: (-orders[sku], sku))[:count]


def stock_for(
    day: Trace, cover: float, rng: np.random.Generator, *, scarce: float = 0.1, quantity_scale: float = 1.0
) -> dict[str, int]:
    """Opening stock: `cover` times the day's demand of each SKU, at least one unit.

    A share `scarce` of the SKUs, drawn from those that at least two orders want, gets one to three
    units, fewer than are wanted: their last units are fought for.
    """
    if cover <= 0 or not 0 <= scarce <= 1:
        raise ValueError("cover is above zero, scarce between zero and one")
    demand = demand_of(day, quantity_scale)
    stock = {sku: max(1, round(cover * units)) for sku, units in sorted(demand.items())}
    orders = Counter(sku for order in day.orders for sku in {line.sku for line in order.lines})
    wanted = [sku for sku in stock if orders[sku] >= 2 and demand[sku] > SCARCE_UNITS[1]]
    count = min(len(wanted), round(scarce * len(stock)))
    for place in rng.choice(len(wanted), size=count, replace=False).tolist() if count else []:
        stock[wanted[place]] = int(rng.integers(SCARCE_UNITS[0], SCARCE_UNITS[1] + 1))
    return stock
