"""Items, bundles and aliases into the catalogue."""

from typing import Annotated

from prefect import flow, get_run_logger, task

from adapters.settings import settings
from flows.forms import DryRun, csv_field
from tasks.onboarding.load_items import (
    ALIAS_COLUMNS,
    BUNDLE_COLUMNS,
    ITEM_COLUMNS,
    ITEM_OPTIONAL,
    ItemsReport,
    load_items,
)
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

Items = Annotated[str, csv_field("Items (CSV)", ",".join((*ITEM_COLUMNS, *ITEM_OPTIONAL)), needed=False)]
Bundles = Annotated[
    str,
    csv_field("Bundles (CSV)", ",".join(BUNDLE_COLUMNS), ". The rows of a bundle are its whole recipe", needed=False),
]
Aliases = Annotated[
    str,
    csv_field("Aliases (CSV)", ",".join(ALIAS_COLUMNS), ". An alias is matched exactly as written", needed=False),
]


@task(task_run_name="load-items", **RETRIES)
def load(items: str, bundles: str, aliases: str, dry_run: bool) -> ItemsReport:
    return load_items(
        runtime(), items=items, bundles=bundles, aliases=aliases, folder=settings().data_dir, dry_run=dry_run
    )


@flow(name="import_items", flow_run_name=run_name("import-items"), log_prints=False)
def import_items(items: Items = "", bundles: Bundles = "", aliases: Aliases = "", dry_run: DryRun = True) -> None:
    """Add items, bundles and aliases, or change their titles, margins and recipes. Rows that cannot be taken are
    named with their row number and reason, the others go on."""
    result = load(items, bundles, aliases, dry_run)
    said = f"{result.items} items, {result.bundles} bundles, {result.aliases} aliases"
    said += (" would be taken" if dry_run else " taken") + f", {len(result.refused)} rows refused"
    get_run_logger().info(said)
    table("imported-items", result.refused, f"{said}. The table has the refused rows")
