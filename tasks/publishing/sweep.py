"""Release the holds that are past their time, in chunks, so that live orders never wait long behind the sweep."""

from adapters.database import in_transaction
from adapters.wakeups import PUBLISH, wake
from inventory.holds.hold_terms import expire
from tasks import permission
from tasks.outages import pause
from tasks.publishing import promote
from tasks.runtime import Runtime

CHUNK = 1000


def sweep(runtime: Runtime) -> int:
    """Also what else ends by its time: requests for an approval, guards of promotions; and pauses are looked at.
    Returns how many holds ended."""
    permission.expire(runtime)
    promote.turn(runtime)
    pause.note_leaks(runtime)
    total = 0
    while True:
        ended = in_transaction(runtime.engine, lambda connection: expire(connection, now=runtime.now(), limit=CHUNK))
        total += ended
        if ended:
            wake(runtime.engine, PUBLISH)
        if ended < CHUNK:
            return total
