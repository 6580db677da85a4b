"""Listings that are closed only to be opened again with more (absolute-write channels go through zero): in waves.

A large delivery calls for it at most listings of a channel at once. All together the channel would stand empty until
its orders are read, and the gate would take it for a wipe, rightly. So some wait for the next pass.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, text

from inventory.channels import ShownCounts
from inventory.publishing.positions import Step

AT_ONCE = 0.25
"""Of the listings that a channel sells, no more are closed for this at a time."""
FEW = 20
"""A channel that sells fewer is done in one wave."""


def goes_through_zero(step: Step) -> bool:
    closes = step.quantity == 0 and (step.position.live or 0) > 0
    return closes and step.slice > 0 and not step.raises and not step.must_lower


def in_waves(steps: Sequence[Step], shown: Mapping[str, ShownCounts]) -> tuple[list[Step], list[Step]]:
    """The steps to take now, in their order, and the closings that wait. `shown`: by channel; one that is closed
    already counts in `zeroed`. At least one closing a channel is always taken."""
    taken: Counter[str] = Counter()
    now, later = [], []
    for step in steps:
        channel = step.position.channel
        if goes_through_zero(step):
            if taken[channel] >= _allowed(shown.get(channel)):
                later.append(step)
                continue
            taken[channel] += 1
        now.append(step)
    return now, later


def one_wave_at_a_time(connection: Connection, channels: Sequence[str]) -> None:
    """Until the end of this transaction nobody else may choose a wave on these channels. Take it after all row locks of
    balances, and in one call."""
    connection.execute(
        text(
            "SELECT pg_advisory_xact_lock(hashtextextended('wave ' || code, 0)) "
            "FROM (SELECT code FROM unnest(CAST(:codes AS text[])) AS given (code) ORDER BY code) AS ordered"
        ),
        {"codes": list(channels)},
    )


def _allowed(shown: ShownCounts | None) -> float:
    sold = shown.selling + shown.zeroed if shown else 0
    return max(1, int(AT_ONCE * sold) - (shown.zeroed if shown else 0)) if sold >= FEW else float("inf")
