"""What suppliers say they have."""

from typing import Annotated

from prefect import flow, get_run_logger, task

from adapters.http import ChannelFault
from adapters.settings import settings
from adapters.suppliers.supplier_config import read_suppliers
from flows.forms import Actor, shown
from tasks.goods.supplier_feeds import FeedReport, pull_feed
from tasks.named_secrets import named_secret
from tasks.policies import RETRIES
from tasks.report import table
from tasks.runtime import runtime
from tasks.shift import run_name

AnySupplier = Annotated[
    str,
    shown(
        "Supplier",
        "Code of the supplier, as in suppliers.toml; empty: all of them",
        pattern=r"^([a-z][a-z0-9-]{0,30})?$",
        examples=["acme"],
    ),
]


class FeedsMissing(Exception):
    """At least one feed could not be read, or was blocked; the others are kept."""


@task(task_run_name="feed-{supplier}", **RETRIES)
def pull(supplier: str, approved_by: str) -> FeedReport:
    described = read_suppliers(settings().suppliers_file)[supplier]
    return pull_feed(runtime(), described, folder=settings().data_dir, secret=named_secret, approved_by=approved_by)


@flow(name="pull_supplier_feed", flow_run_name=run_name("pull-supplier-feed"), log_prints=False)
def pull_supplier_feed(supplier: AnySupplier = "", approved_by: Actor = "") -> None:
    """Read suppliers' feeds and keep what they say, with its age. It is never sellable by itself. A feed that lost
    much, is old, or cannot be read changes nothing and is named."""
    suppliers = read_suppliers(settings().suppliers_file)
    if supplier and supplier not in suppliers:
        raise ValueError(f"{settings().suppliers_file.name} has no supplier {supplier!r}")
    reports = []
    for code in [supplier] if supplier else suppliers:
        try:
            reports.append(pull(code, approved_by))
        except ChannelFault as fault:
            # The next supplier can be asked all the same.
            reports.append(FeedReport(code, "failed", str(fault)))
    rows = [_row(one) for one in reports]
    bad = [one for one in reports if one.status in ("blocked", "failed")]
    for one in reports:
        get_run_logger().info("%s: %s %s", one.supplier, one.status, one.why)
    held = [{"supplier": one.supplier, **row} for one in reports for row in one.held]
    said = f"{len(reports)} feeds read, {len(bad)} of them not kept" if reports else "there are no suppliers"
    table("supplier-feeds", rows, said)
    table("supplier-feed-rows", held, f"The {len(held)} rows that were held back")
    if bad:
        raise FeedsMissing("; ".join(f"{one.supplier}: {one.why}" for one in bad)[:1000])


def _row(one: FeedReport) -> dict[str, object]:
    return {
        "supplier": one.supplier,
        "status": one.status,
        "as of": one.as_of.isoformat(timespec="minutes") if one.as_of else "",
        "rows": one.rows,
        "ours": one.known,
        "changed": one.changed,
        "held back": len(one.held),
        "why": one.why,
    }
