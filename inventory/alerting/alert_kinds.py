"""Every kind of incident once: how bad it is by default, whose it is, what was done already, what to do.

Whoever adds an `IncidentKind` adds its entry here and its section in docs/runbooks.md, whose heading is `title`;
tests/unit/test_alert_kinds.py holds them together.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from inventory.words import IncidentKind, Severity

RUNBOOKS = "docs/runbooks.md"
"""The page with one section a kind."""


class Owner(StrEnum):
    """The role whose business an incident is. Who fills it is the seller's affair."""

    OPERATIONS = "operations"
    WAREHOUSE = "warehouse"
    CATALOGUE = "catalogue"
    FINANCE = "finance"
    ENGINEERING = "engineering"


@dataclass(frozen=True, slots=True)
class AlertKind:
    title: str
    """Heading of a message, and of the kind's section in the runbooks."""
    severity: Severity
    """Where it is opened without saying otherwise."""
    owner: Owner
    done: str
    """What onhand has done by itself when a person reads of it. A whole sentence."""
    to_do: str
    """What that person does first. A whole sentence."""

    @property
    def anchor(self) -> str:
        """Of the section, as GitHub and most renderers make it from the heading."""
        return re.sub(r"[^a-z0-9 -]", "", self.title.lower()).replace(" ", "-")


_CRITICAL, _WARNING = Severity.CRITICAL, Severity.WARNING

ALERT_KINDS: dict[IncidentKind, AlertKind] = {
    IncidentKind.OVERSOLD: AlertKind(
        "Oversold",
        _CRITICAL,
        Owner.OPERATIONS,
        "The order is recorded, and every channel is being lowered to what is left.",
        "Find the units (count the bin, ask the supplier) or cancel the order before its ship-by date.",
    ),
    IncidentKind.EXCESS_REVERSAL: AlertKind(
        "Reversed more than was sold",
        _WARNING,
        Owner.OPERATIONS,
        "What was left of the line was reversed; the rest was not put back.",
        "Compare the order with the channel; if units came back all the same, count the SKU.",
    ),
    IncidentKind.UNMATCHED_REVERSAL: AlertKind(
        "Reversal without a sale",
        _WARNING,
        Owner.OPERATIONS,
        "Nothing was put back; the reversal waits and is applied when its order arrives.",
        "Look the order up at the channel; if it is older than the ledger, adjust the stock by hand.",
    ),
    IncidentKind.UNIT_NOT_FOUND: AlertKind(
        "Unit not found",
        _CRITICAL,
        Owner.WAREHOUSE,
        "The cancelled units were not put back on sale.",
        "Count the SKU at its location today and record the count.",
    ),
    IncidentKind.EXPOSURE_EXCEEDED: AlertKind(
        "Sold more than was given",
        _WARNING,
        Owner.ENGINEERING,
        "The sale is recorded and the listing's worst case was set anew.",
        "Find out who else writes to the listing, another app or a person, and stop it.",
    ),
    IncidentKind.QUARANTINED_ROWS: AlertKind(
        "Rows held back",
        _WARNING,
        Owner.OPERATIONS,
        "The named rows wait; all others went through.",
        "Open the gate's table in Prefect, mend the mapping or the value that it names, and run the flow again.",
    ),
    IncidentKind.BATCH_BLOCKED: AlertKind(
        "Batch blocked",
        _CRITICAL,
        Owner.OPERATIONS,
        "Nothing of the batch was applied, except numbers that had to fall.",
        "Read the gate's findings; mend the source, or run the flow again with your name in Approved by.",
    ),
    IncidentKind.PAGE_UNREADABLE: AlertKind(
        "Page of orders unreadable",
        _CRITICAL,
        Owner.ENGINEERING,
        "The watermark stays, so nothing is skipped, and the page is asked for again at every pull.",
        "Look whether the vendor is in maintenance or has changed its interface; pause the channel if it lasts.",
    ),
    IncidentKind.UNCONFIRMED: AlertKind(
        "Write not confirmed",
        _WARNING,
        Owner.ENGINEERING,
        "The worst case of what may be on show counts against the stock until it was read back.",
        "Look whether the channel answers at all; if it does, run reconcile for it.",
    ),
    IncidentKind.REJECTED: AlertKind(
        "Number refused by the channel",
        _WARNING,
        Owner.CATALOGUE,
        "The old number stays on show and counts as exposure.",
        "Mend the listing at the channel as its answer says, or map it anew.",
    ),
    IncidentKind.FOREIGN_WRITE: AlertKind(
        "Somebody else writes",
        _WARNING,
        Owner.OPERATIONS,
        "Our own number is published again, as policy allows.",
        "Switch off inventory sync in the other app, or ask who changed the number by hand.",
    ),
    IncidentKind.DRIFT: AlertKind(
        "Channel and ledger drift apart",
        _WARNING,
        Owner.OPERATIONS,
        "The listings that differ are published anew.",
        "If it comes back at the next reconciliation, look for a second writer or a wrong mapping.",
    ),
    IncidentKind.NEGATIVE_STOCK: AlertKind(
        "Negative stock at the channel",
        _CRITICAL,
        Owner.CATALOGUE,
        "The listing is being set to what the ledger says, at least zero.",
        "Switch off selling without stock for the listing, then look which orders cannot be served.",
    ),
    IncidentKind.LEDGER_MISMATCH: AlertKind(
        "Ledger does not add up",
        _CRITICAL,
        Owner.ENGINEERING,
        "Nothing was corrected: the journal is the truth and the balances are its sum.",
        "Run onhand rebuild, which shows what differs; stop whoever writes to the tables past the ledger.",
    ),
    IncidentKind.CATALOGUE: AlertKind(
        "Listing set up wrongly",
        _CRITICAL,
        Owner.CATALOGUE,
        "The channel cannot go live with it, and its findings are listed.",
        "Do what the table of audit_catalogue advises for each listing, then run the audit again.",
    ),
    IncidentKind.CREDENTIALS: AlertKind(
        "Channel does not let us in",
        _CRITICAL,
        Owner.ENGINEERING,
        "Nothing is written there; what it may still sell counts against the stock.",
        "Make a new credential with the scopes of docs/credentials.md, save it, and run audit_integrations.",
    ),
    IncidentKind.WEBHOOK_GAP: AlertKind(
        "Webhooks missing",
        _WARNING,
        Owner.ENGINEERING,
        "Polling reads what no webhook told of, so nothing is lost, only later.",
        "Check that the webhooks exist at the vendor, that their address answers, and that the secret is right.",
    ),
    IncidentKind.WRITE_CONFLICT: AlertKind(
        "Two writers at one listing",
        _CRITICAL,
        Owner.OPERATIONS,
        "Nothing is written to the listing any more, except where units that do not exist are on sale.",
        "Find the other writer and stop it; then run resolve_discrepancy for the listing.",
    ),
    IncidentKind.PHANTOM_ORDER: AlertKind(
        "Order that the channel denies",
        _WARNING,
        Owner.OPERATIONS,
        "Its units stay held: nothing is released on the word of one channel.",
        "Look the order up at the channel; if it is gone, run resolve_discrepancy and release its units.",
    ),
    IncidentKind.DISCREPANCY: AlertKind(
        "Discrepancies grow old",
        _WARNING,
        Owner.OPERATIONS,
        "What is safe to heal was healed; the rest stays open and grows more severe with age.",
        "Open the aging table of the last reconcile run, oldest first; settle each with resolve_discrepancy.",
    ),
    IncidentKind.TRANSFER_STUCK: AlertKind(
        "Transfer stuck",
        _WARNING,
        Owner.WAREHOUSE,
        "The units are in transit, so no channel sells them.",
        "Ask the location they go to; book what is there, and give up what is lost (close the transfer).",
    ),
    IncidentKind.INBOUND_LATE: AlertKind(
        "Delivery late",
        _WARNING,
        Owner.WAREHOUSE,
        "The units stay inbound, so no channel sells them.",
        "Ask the supplier for a new date, or look whether the delivery lies unbooked at the dock.",
    ),
    IncidentKind.RETURNS_WAITING: AlertKind(
        "Returns wait for inspection",
        _WARNING,
        Owner.WAREHOUSE,
        "The units are quarantined, so no channel sells them.",
        "Inspect the parcels, the oldest first, and hand the sheet to process_returns.",
    ),
    IncidentKind.SHIPMENT_HELD: AlertKind(
        "Shipment held back",
        _WARNING,
        Owner.WAREHOUSE,
        "What could be sent is posted; the named rows wait, and no balance was changed by them.",
        "Read why in the table of post_shipments or in the message; mend the row or the stock, then post it again.",
    ),
    IncidentKind.SUPPLIER_FEED: AlertKind(
        "Supplier feed missing",
        _WARNING,
        Owner.OPERATIONS,
        "The supplier's last numbers are kept with their age and count as nothing once they are too old.",
        "Read in the run why it failed; ask the supplier for the file, or mend its mapping in suppliers.toml.",
    ),
    IncidentKind.NOT_RUNNING: AlertKind(
        "A part has stopped",
        _CRITICAL,
        Owner.ENGINEERING,
        "The others go on; what the silent part would have told counts as unknown, so shares shrink by themselves.",
        "See in Prefect whether its run is late, failed or hangs, and whether a worker is online; start it.",
    ),
    IncidentKind.RUN_FAILED: AlertKind(
        "Flow run failed",
        _WARNING,
        Owner.ENGINEERING,
        "A scheduled flow begins again by itself at its next time; work in hand is claimed anew when its lease ends.",
        "Open the run's log in Prefect; if the next run fails as well, mend the cause that it names.",
    ),
    IncidentKind.NOT_TOLD: AlertKind(
        "Alerts do not arrive",
        _CRITICAL,
        Owner.ENGINEERING,
        "The messages are kept and sent again; the other target was told.",
        "Check the webhook's address or the mail server's account, then run send_alerts.",
    ),
    IncidentKind.APPROVAL_WANTED: AlertKind(
        "Approval wanted",
        _WARNING,
        Owner.OPERATIONS,
        "Nothing was changed: the run waits, and does nothing if nobody decides in time.",
        "Open the run in Prefect, look at what it would do, press Resume and approve or refuse with your name.",
    ),
    IncidentKind.PAUSE_UNFINISHED: AlertKind(
        "Pause not finished",
        _CRITICAL,
        Owner.OPERATIONS,
        "Nothing is raised on the channel, and all that it shows goes on counting as if it were sold.",
        "Turn the switch by hand at the channel, then run pause_channel or resume_channel once more.",
    ),
    IncidentKind.FALLBACK: AlertKind(
        "Fallback for a channel",
        _CRITICAL,
        Owner.OPERATIONS,
        "The smallest step of the ladder that keeps the risk below its limit is taken; it ends by itself.",
        "Read the generated runbook (onhand runbook CHANNEL), then call the channel or wait for it.",
    ),
    IncidentKind.SOURCE_DARK: AlertKind(
        "Source not heard of",
        _WARNING,
        Owner.WAREHOUSE,
        "Its numbers lose weight with age: a growing part of what lies there is not shown.",
        "Find out why no snapshot comes; send one, or count what sells most there.",
    ),
    IncidentKind.COUNT_APPROVAL: AlertKind(
        "Count waits for approval",
        _WARNING,
        Owner.WAREHOUSE,
        "The difference is not posted; the bin is sold from as the ledger has it.",
        "Open record_counts' table, look at the bin, then run approve_counts with your name and reason.",
    ),
    IncidentKind.COUNT_OVERDUE: AlertKind(
        "Bins not counted in time",
        _WARNING,
        Owner.WAREHOUSE,
        "They are first on the next sheets, above the day's capacity if need be.",
        "Count the open sheets of the location and record them; if they pile up, give it more counters.",
    ),
    IncidentKind.SHRINKAGE: AlertKind(
        "Shrinkage above the target",
        _WARNING,
        Owner.WAREHOUSE,
        "What was counted is posted, and bins with a history of errors are counted more often.",
        "Look in the counts' table where and of what most is missing; check receiving and access there.",
    ),
    IncidentKind.TARGET_MISSED: AlertKind(
        "A figure beyond its limit",
        _WARNING,
        Owner.OPERATIONS,
        "The figure is noted by day, and the health report has the rows behind it.",
        "Open the health report (or run `onhand status`) and begin with the first rows of that section.",
    ),
    IncidentKind.CHANNEL_DARK: AlertKind(
        "Channel is dark",
        _CRITICAL,
        Owner.OPERATIONS,
        "Nothing is raised there, and by their policies the others give up what it may sell until it is read.",
        "Look at the runs of pull_channel and at the channel's status page; if it lasts, pause the channel.",
    ),
    IncidentKind.POLICY_REVIEW: AlertKind(
        "Policy to be reviewed",
        _WARNING,
        Owner.OPERATIONS,
        "The policy stays in force as it is.",
        "Look at it with `onhand policy`, and apply it again with a later review_by.",
    ),
}


def unknown_kind(kind: str) -> AlertKind:
    """For an incident of a kind that this version does not know, as after going back to an older one."""
    title = kind.replace("_", " ").capitalize()
    return AlertKind(title, _WARNING, Owner.ENGINEERING, "It was recorded.", "Look at the incident's message.")


def alert_kind(kind: str) -> AlertKind:
    """The entry of a kind as the table has it."""
    known = {one.value: entry for one, entry in ALERT_KINDS.items()}
    return known.get(kind) or unknown_kind(kind)
