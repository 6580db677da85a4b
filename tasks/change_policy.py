"""Bring a policy file in force."""

from adapters.database import in_transaction
from adapters.wakeups import PUBLISH, wake
from inventory.policies.policy_store import Brought, bring_in_force
from tasks.runtime import Runtime


def change_policy(runtime: Runtime, content: str, *, actor: str, reason: str) -> Brought:
    """Raises PolicyFileError; then nothing has changed."""
    now = runtime.now()
    done = in_transaction(
        runtime.engine, lambda connection: bring_in_force(connection, content, actor=actor, reason=reason, now=now)
    )
    if done.changed:
        wake(runtime.engine, PUBLISH)
    return done
