"""Settle a discrepancy on a person's word."""

from adapters.database import in_transaction
from adapters.wakeups import PUBLISH, wake
from inventory.reconciling.settling import Settled, resolve_discrepancy
from tasks.runtime import Runtime


def settle_discrepancy(runtime: Runtime, number: int, *, actor: str, reason: str, release_units: bool) -> Settled:
    """Raises NotOpen, NotReleasable."""
    settled = in_transaction(
        runtime.engine,
        lambda connection: resolve_discrepancy(
            connection, number, actor=actor, reason=reason, release_units=release_units, now=runtime.now()
        ),
    )
    if settled.undisputed or settled.released:
        wake(runtime.engine, PUBLISH)
    return settled
