"""Read a channel's whole catalogue, compare it with the ledger, store what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from adapters.channels.protocol import CatalogueEntry, Defect
from adapters.database import in_transaction, unit_of_work
from inventory.channels import channel_state
from inventory.naming import naming
from inventory.onboarding.catalogue_audit import Finding, audit
from inventory.onboarding.catalogue_findings import AuditCounts, note_audit
from inventory.onboarding.mapping import listings_of
from inventory.words import FindingKind, FindingSeverity
from tasks.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What a channel lists now, read to the end."""

    channel: str
    entries: tuple[CatalogueEntry, ...]
    defects: tuple[Defect, ...]
    started: datetime


@dataclass(frozen=True, slots=True)
class AuditReport:
    counts: AuditCounts
    findings: tuple[Finding, ...]


def channel_codes(runtime: Runtime, channel: str, *, mode: str = "") -> list[str]:
    """This channel, or for an empty code every channel of the ledger, or those in `mode`. Raises UnknownChannel."""
    with unit_of_work(runtime.engine) as connection:
        if channel:
            return [channel_state(connection, channel).code]
        rows = connection.execute(
            text("SELECT code FROM channel WHERE :mode = '' OR mode = :mode ORDER BY code"), {"mode": mode}
        )
        return [row.code for row in rows]


def read_catalogue(runtime: Runtime, channel: str) -> Catalogue:
    """Raises ChannelFault when it cannot be read to the end: half a catalogue would look like listings gone."""
    with unit_of_work(runtime.engine) as connection:
        channel_state(connection, channel)
    started = runtime.now()
    entries: list[CatalogueEntry] = []
    defects: list[Defect] = []
    with runtime.channel(channel) as adapter:
        for page in adapter.read_catalogue():
            entries += page.entries
            defects += page.defects
    return Catalogue(channel, tuple(entries), tuple(defects), started)


def audit_channel(runtime: Runtime, channel: str) -> AuditReport:
    """Audit one channel. Raises ChannelFault; then what earlier audits found stays as it was."""
    return note_catalogue(runtime, read_catalogue(runtime, channel))


def note_catalogue(runtime: Runtime, catalogue: Catalogue) -> AuditReport:
    """Compare what was read with the ledger as it is now, and store the findings."""

    def work(connection: Connection) -> AuditReport:
        findings = findings_of(connection, catalogue)
        counts = note_audit(
            connection,
            catalogue.channel,
            findings,
            entries=len(catalogue.entries),
            started=catalogue.started,
            now=runtime.now(),
        )
        return AuditReport(counts, tuple(findings))

    return in_transaction(runtime.engine, work)


def findings_of(connection: Connection, catalogue: Catalogue) -> list[Finding]:
    listings = {ref: one.sku for ref, one in listings_of(connection, catalogue.channel).items()}
    defective = {one.key for one in catalogue.defects}
    found = audit(catalogue.entries, listings, naming(connection))
    # A part of the catalogue that could not be read may be the very listing that seems to be gone.
    found = [one for one in found if one.kind is not FindingKind.GONE or not defective]
    return found + [_unreadable(defect) for defect in catalogue.defects]


def _unreadable(defect: Defect) -> Finding:
    return Finding(
        FindingKind.UNREADABLE,
        FindingSeverity.WARNING,
        defect.key,
        "",
        f"this part of the catalogue cannot be read: {defect.reason}",
        "look at it at the channel; while it is so, listings that are gone are not found",
    )


def as_rows(channel: str, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """For people."""
    return [
        {
            "channel": channel,
            "severity": one.severity.value,
            "finding": one.kind.value.replace("_", " "),
            "listing": one.listing_ref,
            "SKU there": one.sku,
            "SKU here": one.suggestion,
            "why": one.message,
            "what to do": one.advice,
        }
        for one in findings
    ]
