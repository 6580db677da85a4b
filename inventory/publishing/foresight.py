"""What each listing will show when all that a policy asks for has been done: the publisher's plan, played to its end.

Played on values: every number is confirmed, nothing is sold meanwhile, and orders are read after each write. So two
policies can be compared before one is brought in force.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, text

from inventory.policies.policy_file import PolicyFile
from inventory.publishing.availability import load_market
from inventory.publishing.guidance import Guidance, read_guidance
from inventory.publishing.positions import Position, Step
from inventory.publishing.publishing import Market, plan

ROUNDS = 20
"""Far more than a plan needs: lower, raise, and through zero for an absolute channel."""
CHUNK = 500
"""SKUs at a time."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One listing whose number would be another. Listing units; None: it was never read, or shows what it likes."""

    channel: str
    ref: str
    sku: str
    shown: int | None
    now: int | None
    """What it will show under the policy in force."""
    then: int | None
    why: str


def at_rest(market: Market) -> dict[int, int | None]:
    """{listing id: the number}; of a listing that cannot be written to it is what it shows now."""
    for _ in range(ROUNDS):
        steps = plan(market)
        if not steps:
            break
        lowerings = [step for step in steps if not step.raises]
        market = _done(market, lowerings or steps)
    return {one.listing_id: one.live for one in market.positions}


def _done(market: Market, steps: list[Step]) -> Market:
    numbers = {step.position.listing_id: step.quantity for step in steps}
    positions = []
    for one in market.positions:
        quantity = numbers.get(one.listing_id)
        positions.append(
            one if quantity is None else replace(one, live=quantity, exposure=0 if one.asks_first else quantity)
        )
    return Market(market.stock, positions)


def differences(connection: Connection, file: PolicyFile, *, now: datetime) -> Iterator[Foreseen]:
    """Every listing whose number would be another under `file` than under the policy in force, and why."""
    skus = connection.execute(text("SELECT DISTINCT sku FROM listing ORDER BY sku")).scalars().all()
    rows = connection.execute(
        text("SELECT id, coalesce(observed, confirmed) AS shown FROM listing WHERE coalesce(observed, confirmed) >= 0")
    )
    shown = {row.id: row.shown for row in rows}
    seen: set[int] = set()
    for start in range(0, len(skus), CHUNK):
        part = skus[start : start + CHUNK]
        in_force = read_guidance(connection, part, now=now)
        on_trial = read_guidance(connection, part, now=now, remembered=in_force.remembered, trying=file)
        yield from _compare(connection, part, shown, (in_force, on_trial), seen)


def _compare(
    connection: Connection,
    skus: Collection[str],
    shown: Mapping[int, int],
    guidances: tuple[Guidance, Guidance],
    seen: set[int],
) -> Iterator[Foreseen]:
    before, after = (load_market(connection, skus, shown, guidance) for guidance in guidances)
    now, then = at_rest(before), at_rest(after)
    was = {one.listing_id: one for one in before.positions}
    for one in after.positions:
        if one.listing_id in seen:
            continue
        seen.add(one.listing_id)
        if now[one.listing_id] != then[one.listing_id]:
            yield Foreseen(
                one.channel, one.ref, one.sku, shown.get(one.listing_id), now[one.listing_id], then[one.listing_id],
                _why(was[one.listing_id], one, after),
            )  # fmt: skip


def _why(before: Position, after: Position, market: Market) -> str:
    room = market.room(after)
    said = [f"{before.terms.label} → {after.terms.label}" if before.terms != after.terms else after.terms.label]
    if before.terms == after.terms:
        said.append("another listing of the SKU changes")
    said.append(f"{room.sellable} sellable, {room.others} kept for others")
    if after.demand is not None and not after.is_strict:
        said.append(f"{after.demand.unseen.lines:.3g} order lines unseen in {after.demand.lag:.0f} s")
    elif after.is_strict and after.terms.policy.text != "strict":
        said.append("no demand was learned yet, so it is split as strict does")
    return "; ".join(said)
