"""What the ladder has done, what is open of it, and what it looks at before it does more."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from inventory.outages.fallback_settings import Fallback
from inventory.outages.ladder import Decision, Market, Stake
from inventory.outages.outage_words import LadderStep
from inventory.policies.policy_file import parse_policy_file
from inventory.policies.policy_store import in_force
from inventory.publishing.exposure_view import unbacked
from inventory.publishing.guidance import read_guidance
from inventory.publishing.outbox import mark_dirty
from inventory.publishing.unseen import quantile
from inventory.words import PauseOwner

DOWN = (LadderStep.HIDE, LadderStep.THROTTLE, LadderStep.PAUSE)
"""Steps that end when the channel recovers."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that is open."""

    channel: str
    step: LadderStep
    on_channel: str
    sku: str
    percent: int
    began_at: datetime


@dataclass(frozen=True, slots=True)
class Switch:
    """Our own pause of a channel: when the last one was lifted, and what is open now."""

    lifted_at: datetime | None = None
    started_at: datetime | None = None
    status: str = ""
    """Of the open one; empty: none is."""


def settings_in_force(connection: Connection) -> Fallback:
    policy = in_force(connection)
    return Fallback() if policy is None else parse_policy_file(policy.content).fallback


PLAUSIBLE = 0.01
"""More than what is exceeded with this chance a dark channel is not taken to sell, where its demand is known."""


def market_at_stake(connection: Connection, channels: Collection[str], *, now: datetime) -> Market:
    """What these channels in trouble may sell beyond what there is. Empty under `strict`.

    Where a policy has learnt demand, as `calibrated` does for its fence, a dark channel counts with what it may
    plausibly sell until it is likely to be read again; else with all that it shows.
    """
    found = unbacked(connection, channels) if channels else []
    if not found:
        return {}
    guidance = read_guidance(connection, [one.sku for one in found], now=now)
    market = {}
    for one in found:
        exposed, shown = dict(one.exposed), dict(one.shown)
        for code in guidance.dark.keys() & set(channels) & exposed.keys():
            demand = guidance.demand_of(code, one.sku, asks_first=False, listings=1)
            if demand is None:
                continue
            unseen = demand.unseen
            most = min(exposed[code], quantile(unseen.lines, unseen.shape, unseen.sizes, PLAUSIBLE))
            # What it may have sold already is taken for sold first.
            shown[code] = max(0, most - (exposed[code] - (shown[code] or 0)))
            exposed[code] = most
        shown = {code: units or 0 for code, units in shown.items()}
        market[one.sku] = Stake(one.sku, one.sellable, exposed, shown, frozenset(channels))
    return market


def open_steps(connection: Connection) -> dict[str, list[Taken]]:
    """{channel in trouble: what is open for it}"""
    rows = connection.execute(
        text(
            "SELECT channel, step, on_channel, sku, percent, began_at FROM fallback_step "
            "WHERE ended_at IS NULL ORDER BY channel, id"
        )
    )
    found: dict[str, list[Taken]] = {}
    for row in rows:
        taken = Taken(row.channel, LadderStep(row.step), row.on_channel, row.sku, row.percent, row.began_at)
        found.setdefault(row.channel, []).append(taken)
    return found


def own_switches(connection: Connection) -> dict[str, Switch]:
    rows = connection.execute(
        text(
            """
            SELECT channel, max(lifted_at) AS lifted_at,
                   max(started_at) FILTER (WHERE status <> 'lifted') AS started_at,
                   coalesce(max(status) FILTER (WHERE status <> 'lifted'), '') AS status
            FROM channel_pause WHERE owner = :owner GROUP BY channel
            """
        ),
        {"owner": PauseOwner.ONHAND.value},
    )
    return {row.channel: Switch(row.lifted_at, row.started_at, row.status) for row in rows}


def writable(connection: Connection) -> set[str]:
    """Live channels that live on what they show."""
    rows = connection.execute(text("SELECT code FROM channel WHERE mode = 'live' AND NOT asks_first"))
    return {row.code for row in rows}


def take(connection: Connection, decision: Decision, cause: str, *, now: datetime) -> None:
    """Note the step; its limits hold from the commit on. A tighter throttle takes the place of a looser one."""
    if decision.step is LadderStep.THROTTLE:
        end_steps(connection, decision.channel, [LadderStep.THROTTLE], now=now)
    for limit in decision.limits:
        connection.execute(
            text(
                """
                INSERT INTO fallback_step (channel, step, on_channel, sku, percent, cause, risk_before, risk_after,
                                           began_at)
                VALUES (:channel, :step, :on_channel, :sku, :percent, :cause, :before, :after, :now)
                ON CONFLICT (channel, step, on_channel, sku) WHERE ended_at IS NULL DO NOTHING
                """
            ),
            {
                "channel": decision.channel, "step": decision.step.value, "on_channel": limit.channel,
                "sku": limit.sku, "percent": limit.percent, "cause": cause, "before": decision.before,
                "after": decision.after, "now": now,
            },
        )  # fmt: skip
    _mark(connection, [(limit.channel, limit.sku) for limit in decision.limits], now=now, eager=True)


def end_steps(connection: Connection, channel: str, steps: Sequence[LadderStep], *, now: datetime) -> int:
    """What was done for this channel is over; returns how many of them."""
    rows = connection.execute(
        text(
            "UPDATE fallback_step SET ended_at = :now WHERE channel = :channel AND step = ANY(:steps) "
            "AND ended_at IS NULL RETURNING on_channel, sku"
        ),
        {"now": now, "channel": channel, "steps": [one.value for one in steps]},
    ).all()
    _mark(connection, [(row.on_channel, row.sku) for row in rows], now=now)
    return len(rows)


def raise_to(connection: Connection, channel: str, percent: int | None, cause: str, *, now: datetime) -> bool:
    """The channel may be raised to so much of what is sellable (None: to all). Returns whether that is news."""
    kept = connection.execute(
        text("SELECT percent FROM fallback_step WHERE channel = :channel AND step = 'raise' AND ended_at IS NULL"),
        {"channel": channel},
    ).scalar_one_or_none()
    if kept == percent:
        return False
    end_steps(connection, channel, [LadderStep.RAISE], now=now)
    if percent is not None:
        connection.execute(
            text(
                "INSERT INTO fallback_step (channel, step, on_channel, percent, sku, cause, risk_before, risk_after, "
                "began_at) VALUES (:channel, 'raise', :channel, :percent, '', :cause, 0, 0, :now)"
            ),
            {"channel": channel, "percent": percent, "cause": cause, "now": now},
        )
    return True


def _mark(connection: Connection, limits: Iterable[tuple[str, str]], *, now: datetime, eager: bool = False) -> None:
    """What is limited, or no more, is published again. `eager`: before what is only divided anew."""
    given = list(limits)
    if not given:
        return
    rows = connection.execute(
        text("SELECT DISTINCT sku FROM listing WHERE channel = ANY(:channels)"),
        {"channels": sorted({channel for channel, sku in given if not sku})},
    )
    mark_dirty(connection, {row.sku for row in rows} | {sku for _, sku in given if sku}, now=now, eager=eager)
