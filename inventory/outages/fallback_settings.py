"""`[fallback]` in the policy file: how much risk an outage may bring, and how patient the ladder is."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[int, Field(ge=1, le=99, strict=True)]
"""Percent of what is sellable."""
Amount = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Minutes = Annotated[float, Field(ge=0, le=60 * 24 * 7, allow_inf_nan=False)]


class Fallback(BaseModel):
    """Sensible as it stands. A channel's penalty is what one unit oversold there costs, in the unit of `limit`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Amount = 5.0
    """So much risk is borne before the ladder does more than tell."""
    penalty: Amount = 1.0
    penalties: dict[str, Amount] = Field(default_factory=dict)
    """Of single channels, instead of `penalty`."""
    full_after_minutes: Annotated[float, Field(ge=1, le=60 * 24 * 7, allow_inf_nan=False)] = 60.0
    """Unread for so long, a channel is taken to have sold all that it shows; before, in proportion."""
    patience_minutes: Minutes = 2.0
    """Between two steps for one channel: the last one has to show its effect first."""
    hide_at_most: Annotated[int, Field(ge=0, le=100_000, strict=True)] = 50
    """SKUs hidden for one channel; where more would be needed, the channel is throttled."""
    throttles: tuple[Share, ...] = (50, 25, 10)
    """Of what is sellable there; where another channel is throttled for it, of what this one may sell."""
    pause_after_minutes: Minutes = 15.0
    """Trouble is not answered by a pause sooner."""
    pause_least_minutes: Minutes = 15.0
    """A pause of ours lasts at least so long,"""
    pause_apart_minutes: Minutes = 60.0
    """and is not begun again sooner after the last one."""
    calm_minutes: Minutes = 3.0
    """Nothing was wrong for so long: only then it is believed to be over."""
    raises: tuple[Share, ...] = (25, 50)
    """The stages on the way back, each of at most so much of what is sellable."""
    raise_minutes: Minutes = 5.0
    """One stage lasts so long."""
    age_percent_a_day: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 2.0
    """A location that was not heard of: so much of its stock is not shown, for each day beyond its interval,"""
    age_percent_most: Annotated[int, Field(ge=0, le=100, strict=True)] = 20
    """and never more than this."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if list(self.throttles) != sorted(set(self.throttles), reverse=True):
            raise ValueError("`throttles` go down, as in [50, 25, 10]")
        if list(self.raises) != sorted(set(self.raises)):
            raise ValueError("`raises` go up, as in [25, 50]")
        return self

    def penalty_of(self, channel: str) -> float:
        return self.penalties.get(channel, self.penalty)

    @property
    def calm(self) -> timedelta:
        return timedelta(minutes=self.calm_minutes)

    @property
    def stage_length(self) -> timedelta:
        return timedelta(minutes=self.raise_minutes)
