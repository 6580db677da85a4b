"""Note the calls that fail, so that an outage is known by its kind; the first that succeeds again clears them."""

from adapters.database import in_transaction
from adapters.http import ChannelFault
from inventory.outages.fault_log import clear_faults, note_fault
from tasks.runtime import Runtime

PULL, READ, WRITE = "pull", "read", "write"


def failed(runtime: Runtime, channel: str, call: str, fault: ChannelFault) -> None:
    note(runtime, channel, call, fault.resolution.value)


def note(runtime: Runtime, channel: str, call: str, resolution: str) -> None:
    now = runtime.now()
    in_transaction(runtime.engine, lambda connection: note_fault(connection, channel, call, resolution, now=now))
    runtime.memory.troubled.add((channel, call))


def succeeded(runtime: Runtime, channel: str, call: str) -> None:
    """Costs nothing where this process has seen no fault; those of another one are forgotten with time."""
    if (channel, call) in runtime.memory.troubled:
        now = runtime.now()
        in_transaction(runtime.engine, lambda connection: clear_faults(connection, channel, call, now=now))
        runtime.memory.troubled.discard((channel, call))
