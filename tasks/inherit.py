"""A run that begins takes over at once what runs before it have left behind by dying."""

import logging

from adapters.database import in_transaction, unit_of_work
from adapters.http import ChannelFault
from adapters.prefect_server import PrefectServer
from adapters.settings import settings
from inventory.publishing.left_claims import free, runs_that_hold
from tasks.health.roll_call import prefect_of
from tasks.runtime import Runtime

log = logging.getLogger(__name__)


def inherit_claims(runtime: Runtime) -> int:
    """With the Prefect server of this process's settings."""
    prefect = prefect_of(settings())
    try:
        return inherit(runtime, prefect)
    finally:
        if prefect is not None:
            prefect.close()


def inherit(runtime: Runtime, prefect: PrefectServer | None) -> int:
    """Free the claims of runs that have ended, as Prefect knows; how many there were. Where Prefect cannot be asked
    nothing is freed: the claims come back when their leases end."""
    if prefect is None:
        return 0
    with unit_of_work(runtime.engine) as connection:
        holding = runs_that_hold(connection)
    if not holding:
        return 0
    try:
        ended = prefect.ended(holding)
    except ChannelFault as fault:
        log.warning("what dead runs have left waits for the end of its leases: %s", fault)
        return 0
    freed = in_transaction(runtime.engine, lambda connection: free(connection, ended))
    if freed:
        log.warning("%s claims of runs that have died are taken over", freed)
    return freed
