"""A replay from what a person asked for, in text and numbers, to rows of figures."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from adapters.history_csv import SPLITS, HistoryReport, read_history
from inventory.policies.policy_text import parse_policies
from inventory.replaying.outage_pattern import parse_pattern
from inventory.replaying.replay import Outcome, Plan, Progress, run
from inventory.replaying.replay_shelf import Tally

UNITS = ("line", "quantity")
WRITES = ("usual", "absolute", "compare-and-set")
MOST_CHANNELS = 20
MOST_SHOWN = 20
"""Bad rows that are named in the JSON; all are counted."""


class ReplayError(ValueError):
    """What was asked for makes no sense. The message is one line for people."""


@dataclass(frozen=True, slots=True)
class Request:
    """The options of `onhand replay` (docs/replay.md)."""

    orders: Path
    policies: str = "mirror,strict,calibrated:0.001"
    lags: Sequence[float] = (60.0,)
    outages: Sequence[str] = ("none",)
    channels: int = 4
    shares: str = ""
    pool: str = ""
    split: str = "customer"
    cover_weeks: float = 2.0
    units: str = "line"
    writes: str = "usual"
    restock_known: bool = True
    seed: int = 0
    processes: int = 0
    """0: as many as the machine has cores."""
    oversell_cost: float = 0.0
    """Of one oversold unit."""
    margin: float = 0.0
    """Of one delivered unit."""


@dataclass(slots=True)
class Replay:
    request: Request
    read: HistoryReport
    days: int
    skus: int
    lines: int
    rows: list[dict[str, Any]] = field(default_factory=list)
    """One per policy, lag and outage pattern, in this order."""


def replay_orders(request: Request, said: Progress = lambda what, share: None) -> Replay:
    """Raises ReplayError, PolicyError, OutageError (what was asked for) and TraceError (the file)."""
    shares = _check(request)
    policies = parse_policies(request.policies)
    patterns = [parse_pattern(text, len(shares)) for text in request.outages or ("none",)]
    pool = _channels(request.pool, len(shares))
    said("reading orders", 0.0)
    history, read = read_history(request.orders, shares=shares, split=request.split, seed=request.seed)
    said("reading orders", 1.0)
    plan = Plan(
        policies,
        list(dict.fromkeys(request.lags)),
        list(dict.fromkeys(patterns)),
        shares,
        pool,
        request.cover_weeks,
        request.writes,
        request.units == "line",
        request.restock_known,
        request.processes or os.cpu_count() or 1,
    )
    found = Replay(request, read, history.days - history.first_day, len(history.skus), len(history.at))
    for outcome in run(history, plan, said):
        found.rows.append(_figures(outcome, request))
    return found


def _check(request: Request) -> list[float]:
    """The shares of the channels."""
    if not 1 <= request.channels <= MOST_CHANNELS:
        raise ReplayError(f"there may be 1 to {MOST_CHANNELS} channels, not {request.channels}")
    for name, value, known in (
        ("split", request.split, SPLITS), ("units", request.units, UNITS), ("writes", request.writes, WRITES),
    ):  # fmt: skip
        if value not in known:
            raise ReplayError(f"{value!r} is no {name}: there are {', '.join(known)}")
    if not request.lags or not all(isfinite(lag) and 0 <= lag <= 7 * 86_400 for lag in request.lags):
        raise ReplayError("a lag is a number of seconds from 0 to a week")
    if not (isfinite(request.cover_weeks) and 0 < request.cover_weeks <= 520):
        raise ReplayError("the cover is a number of weeks above 0")
    if not request.shares:
        return [1.0] * request.channels
    try:
        shares = [float(one) for one in request.shares.split(",")]
    except ValueError as error:
        raise ReplayError(f"{request.shares!r} are no shares: write them as 50,30,15,5") from error
    if len(shares) != request.channels or not all(isfinite(one) and one > 0 for one in shares):
        raise ReplayError(f"there must be {request.channels} shares, each above 0")
    return shares


def _channels(text: str, channels: int) -> frozenset[int]:
    found = set()
    for one in filter(None, (part.strip() for part in text.split(","))):
        if not one.isdecimal() or not 1 <= int(one) <= channels:
            raise ReplayError(f"{one!r} of the pool is no channel from 1 to {channels}")
        found.add(int(one) - 1)
    return frozenset(found)


def _figures(outcome: Outcome, request: Request) -> dict[str, Any]:
    tally: Tally = outcome.tally
    row: dict[str, Any] = {
        "policy": outcome.policy.text,
        "lag": outcome.lag,
        "outage": outcome.pattern.text,
        "writes": "absolute" if outcome.absolute else "compare-and-set",
        "oversold_lines": tally.oversold_lines,
        "oversold_lines_outside": tally.oversold_lines - tally.oversold_lines_in_outage,
        "oversold_lines_in_outage": tally.oversold_lines_in_outage,
        "oversold_units": tally.oversold_units,
        "oversold_units_in_outage": tally.oversold_units_in_outage,
        "fill": tally.delivered_units / tally.counter_units if tally.counter_units else 1.0,
        "counter_fill": tally.counter_units / tally.demand_units if tally.demand_units else 1.0,
        "hidden_lines_share": tally.hidden_lines / tally.demand_lines if tally.demand_lines else 0.0,
        "api_calls": tally.api_calls,
        "api_calls_per_line": tally.api_calls / tally.demand_lines if tally.demand_lines else 0.0,
    }
    row |= {name: value for name, value in asdict(tally).items() if name not in row}
    # A policy may sell a unit that the counter had not to sell; that is no loss.
    lost = tally.counter_units - tally.delivered_units
    row["cost"] = tally.oversold_units * request.oversell_cost + lost * request.margin
    return row


def as_json(replay: Replay) -> dict[str, Any]:
    """What `--json` writes: `policies` has the figures, the rest says what they are of."""
    request, read = replay.request, replay.read
    return {
        "policies": replay.rows,
        "orders": {
            "days": replay.days,
            "skus": replay.skus,
            "lines": replay.lines,
            "rows": read.rows,
            "rows_bad": len(read.bad),
            "bad": [{"line": one.line_number, "reason": one.reason} for one in read.bad[:MOST_SHOWN]],
            "rows_cancelled": read.cancellations,
            "rows_adjusting": read.adjustments,
            "rows_not_stock": dict(sorted(read.non_stock.items())),
            "rows_merged": read.merged,
            "seconds_drawn": read.spread_over_the_minute,
        },
        "options": {
            name: value if isinstance(value, str | int | float) else [*value]
            for name, value in asdict(request).items()
            if name not in ("orders", "processes")
        },
    }
