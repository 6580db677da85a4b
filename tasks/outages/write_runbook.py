"""The runbook of one channel's outage, from what holds for it now."""

from datetime import datetime

from sqlalchemy import Engine

from adapters.channels.pause_switches import pause_switch
from adapters.database import in_transaction
from inventory.outages.outage_runbook import facts, runbook


def runbook_of(engine: Engine, channel: str, *, now: datetime) -> str:
    """Markdown. Raises UnknownChannel."""
    known = in_transaction(engine, lambda connection: facts(connection, channel, now=now))
    switch = pause_switch(known.vendor)
    return runbook(known, switch.what, switch.costs, switch.by_hand)
