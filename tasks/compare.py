"""Read every quantity that a channel shows and compare it with the ledger."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from sqlalchemy import Connection, text

from adapters.channels.protocol import Reading
from adapters.database import in_transaction, unit_of_work
from inventory.channels import channel_state
from inventory.exposure import Observation, observe
from inventory.reconciliation import Compared, Reconciliation, compare
from tasks.runtime import Runtime

CHUNK = 1000
"""Listings that are read and compared at a time, so that memory stays flat."""


def compare_channel(
    runtime: Runtime, channel: str, *, stale_after: timedelta, heal: bool, skus: Sequence[str] = ()
) -> Reconciliation:
    """Compare all listings of the channel, or those of `skus`. Pull its orders first: what they changed is no
    difference. Raises ChannelFault when the channel cannot be read; what was compared before stays."""
    parts = list(_parts(runtime, channel, stale_after, heal, skus))
    return Reconciliation(
        channel=channel,
        compared=sum(part.compared for part in parts),
        equal=sum(part.equal for part in parts),
        differing=tuple(one for part in parts for one in part.differing),
        missing=tuple(ref for part in parts for ref in part.missing),
        healed=sum(part.healed for part in parts),
    )


def _parts(
    runtime: Runtime, channel: str, stale_after: timedelta, heal: bool, skus: Sequence[str]
) -> Iterator[Reconciliation]:
    with unit_of_work(runtime.engine) as connection:
        state = channel_state(connection, channel)
        refs = _refs(connection, channel, skus)
    ordered = sorted(refs)
    with runtime.channel(channel) as adapter:
        for start in range(0, len(ordered), CHUNK):
            asked = ordered[start : start + CHUNK]
            started = runtime.now()
            readings = adapter.read_quantities(asked)
            ended = runtime.now()
            observations = _observations(readings, refs)
            missing = sorted(set(asked) - {one.listing_ref for one in readings})

            def work(connection: Connection) -> Reconciliation:
                result = compare(
                    connection,
                    channel,
                    observations,  # noqa: B023 - runs at once
                    missing=missing,  # noqa: B023
                    pulled_at=state.pulled_at,
                    stale_after=stale_after,
                    heal=heal,
                    now=runtime.now(),
                )
                observe(connection, observations, read_started=started, read_ended=ended)  # noqa: B023
                return result

            yield in_transaction(runtime.engine, work)


def _refs(connection: Connection, channel: str, skus: Sequence[str]) -> dict[str, int]:
    rows = connection.execute(
        text("SELECT ref, id FROM listing WHERE channel = :channel AND (:all OR sku = ANY(:skus)) "),
        {"channel": channel, "all": not skus, "skus": list(skus)},
    )
    return {row.ref: row.id for row in rows}


def _observations(readings: Sequence[Reading], refs: dict[str, int]) -> list[Observation]:
    return [Observation(refs[one.listing_ref], one.quantity, one.tracked) for one in readings]


def as_rows(differing: Sequence[Compared], limit: int = 200) -> list[dict[str, object]]:
    """For people: the largest differences first."""
    ordered = sorted(differing, key=lambda one: -abs(one.observed - one.expected))
    return [
        {
            "channel": one.channel,
            "SKU": one.sku,
            "listing": one.ref,
            "class": one.kind.value,
            "expected": one.expected,
            "shown": one.observed,
        }
        for one in ordered[:limit]
    ]
