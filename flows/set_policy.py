"""A policy file comes in force, or is only tried."""

from typing import Annotated, Any

from prefect import flow, get_run_logger, task

from flows.forms import DryRun, Person, Reason, shown
from inventory.policies.policy_store import Brought
from tasks.change_policy import change_policy
from tasks.policies import RETRIES
from tasks.publishing.preview import try_policy
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

PolicyText = Annotated[
    str,
    shown("Policy (TOML)", "The whole file, as docs/policies.md describes it", min_length=1, max_length=200_000),
]


@task(task_run_name="try-policy", **RETRIES)
def try_it(policy: str) -> list[dict[str, Any]]:
    return try_policy(runtime(), policy)


@task(task_run_name="bring-in-force", **RETRIES)
def bring_it_in_force(policy: str, actor: str, reason: str) -> Brought:
    return change_policy(runtime(), policy, actor=actor, reason=reason)


@flow(name="set_policy", flow_run_name=run_name("set-policy"), log_prints=False)
def set_policy(policy: PolicyText, actor: Person, reason: Reason, dry_run: DryRun = True) -> None:
    """List every listing whose number changes and why; without dry run, bring the policy in force with your name."""
    logger = get_run_logger()
    rows = try_it(policy)
    said = f"{len(rows):,} listings " + ("would show" if dry_run else "are to show") + " another number"
    table("policy-trial", rows, said)
    logger.info(said)
    if dry_run:
        return
    done = bring_it_in_force(policy, actor, reason)
    if done.changed:
        logger.info("version %s (%s) is in force", done.version, done.content_hash[:8])
    else:
        logger.info("version %s is this text already", done.version)
