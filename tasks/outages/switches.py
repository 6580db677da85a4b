"""Our own pauses: turned when the ladder says so, and lifted when the channel is well again."""

from adapters.http import ChannelFault
from inventory.words import PauseOwner
from tasks.outages.lift import NotLiftable, resume_channel
from tasks.outages.pause import pause_channel
from tasks.runtime import Runtime

ACTOR = "onhand"


def pause_ours(runtime: Runtime, channel: str, why: str) -> str:
    """Take it off sale; what became of it, in words. A switch that cannot be turned is an incident of its own."""
    try:
        done = pause_channel(runtime, channel, owner=PauseOwner.ONHAND, actor=ACTOR, reason=f"outage: {why}"[:500])
    except ChannelFault as fault:
        return f"{channel} could not be paused: {fault}"
    return f"{channel} is {done.status}, {done.exposure} units may still come in"


def lift_ours(runtime: Runtime, channel: str) -> str:
    """Read, compare, and put it back on sale; others' pauses stay."""
    try:
        done = resume_channel(
            runtime, channel, by=PauseOwner.ONHAND, actor=ACTOR, reason="it answers again, was read and compared"
        )
    except (ChannelFault, NotLiftable) as error:
        return f"{channel} was not put back on sale: {error}"
    kept = f", but stays off sale by {', '.join(done.kept_by)}" if done.kept_by else ""
    return f"our pause of {channel} is lifted{kept}"
