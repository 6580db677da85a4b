"""The words of outages, once; as `inventory.words` has those of the field."""

from enum import StrEnum


class SourceKind(StrEnum):
    """What has a health of its own."""

    CHANNEL = "channel"
    LOCATION = "location"
    """What the warehouse or ERP says of it."""
    SUPPLIER = "supplier"


class HealthState(StrEnum):
    LIVE = "live"
    DEGRADED = "degraded"
    """It answers, but not all is well."""
    DARK = "dark"
    """It was not read for longer than its own interval allows."""
    PAUSED = "paused"
    RECOVERING = "recovering"
    """Read again; what it shows is raised in stages."""


class LadderStep(StrEnum):
    """What is done for a channel in trouble, the smallest first."""

    NOTHING = "nothing"
    """Beyond what the policies do by themselves."""
    HIDE = "hide"
    THROTTLE = "throttle"
    PAUSE = "pause"
    RAISE = "raise"
    """On the way back: so much of what is sellable may be shown."""
