"""Transfers that should have arrived."""

from datetime import datetime

from sqlalchemy import Connection

from inventory.goods.transit import OnTheWay, open_transfers
from inventory.incidents import NewIncident, open_incidents
from inventory.words import IncidentKind, Severity


def note_stuck(connection: Connection, *, now: datetime) -> list[OnTheWay]:
    """Open an incident for each transfer that should have arrived, which ends when it does; returns them."""
    stuck = open_transfers(connection, expected_before=now)
    open_incidents(
        connection,
        [
            NewIncident(
                IncidentKind.TRANSFER_STUCK,
                Severity.WARNING,
                one.reference,
                f"{sum(one.units.values())} units of transfer {one.reference} from {one.from_location} to "
                f"{one.to_location} should have arrived by {one.expected_by:%Y-%m-%d %H:%M} UTC",
                {
                    "units": dict(list(one.units.items())[:50]),
                    "sent_at": one.sent_at.isoformat(),
                    "expected_by": one.expected_by.isoformat(),
                },
            )
            for one in stuck
        ],
        now=now,
    )
    return stuck
