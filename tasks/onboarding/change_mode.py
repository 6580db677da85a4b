"""Set a channel's mode, if nothing is missing for it."""

from adapters.database import in_transaction
from inventory.onboarding.channel_modes import ModeChange, set_mode
from inventory.words import ChannelMode
from tasks.runtime import Runtime


def change_mode(
    runtime: Runtime, channel: str, mode: str, *, actor: str, reason: str, accept_unmapped: bool = False
) -> ModeChange:
    """Raises UnknownChannel."""
    return in_transaction(
        runtime.engine,
        lambda connection: set_mode(
            connection,
            channel,
            ChannelMode(mode),
            actor=actor,
            reason=reason,
            accept_unmapped=accept_unmapped,
            now=runtime.now(),
        ),
    )


def as_rows(change: ModeChange) -> list[dict[str, str]]:
    """For people: each precondition, and what to do about those that do not hold."""
    return [
        {
            "what": check.what,
            "is": "as it must be" if check.ok else "missing",
            "found": check.found,
            "what to do": "" if check.ok else check.advice,
        }
        for check in change.checks
    ]
