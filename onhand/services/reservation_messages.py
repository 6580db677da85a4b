"""What goes over the wire of the reservation API: bodies that come in, and the documents that go out."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from inventory.holds.reservations import HeldLine, HoldState
from inventory.words import ReservationStatus
from onhand.services.problems import ProblemBody

KEY = r"^[A-Za-z0-9][A-Za-z0-9._~:-]{0,99}$"
"""What an idempotency key looks like: it stands in addresses as it is."""
_VISIBLE = r"^[^\x00-\x1f\x7f]+$"
_KEYS, _NAMES = re.compile(KEY), re.compile(_VISIBLE)
LONGEST_NAME = 200
MOST_LINES = 200
MOST_UNITS = 1_000_000

Key = Annotated[str, Field(pattern=KEY, description="Yours, new for every checkout", examples=["checkout-8731"])]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=_VISIBLE)]
Seconds = Annotated[int, Field(ge=1, le=31_536_000, description="How long; the longest is a setting")]


class _Incoming(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class AskedLine(_Incoming):
    """`sku` (a SKU or bundle) or `listing_ref` (your own key of what you sell), one of them."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["sku"]}, {"required": ["listing_ref"]}]})

    sku: Name = ""
    listing_ref: Name = ""
    quantity: int = Field(gt=0, le=MOST_UNITS)

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if bool(self.sku) == bool(self.listing_ref):
            raise ValueError("give sku or listing_ref, one of them")
        return self


class Ask(_Incoming):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"key": "checkout-8731", "lines": [{"sku": "MUG-BLUE", "quantity": 2}], "ttl_seconds": 600}]
        }
    )

    key: Key | None = None
    """Or the header `Idempotency-Key`."""
    lines: list[AskedLine] = Field(min_length=1, max_length=MOST_LINES)
    ttl_seconds: Seconds | None = None
    partial: bool = Field(default=False, description="Hold as much of each line as is free, instead of all or nothing")


class Extension(_Incoming):
    model_config = ConfigDict(json_schema_extra={"examples": [{"ttl_seconds": 600}]})
    ttl_seconds: Seconds | None = None
    """From now on."""


class Commitment(_Incoming):
    model_config = ConfigDict(json_schema_extra={"examples": [{"order_id": "1001"}]})
    order_id: Annotated[Name, Field(description="Your id of the order that was placed")]


ASK: TypeAdapter[Ask] = TypeAdapter(Ask)
EXTENSION: TypeAdapter[Extension] = TypeAdapter(Extension)
COMMITMENT: TypeAdapter[Commitment] = TypeAdapter(Commitment)
INCOMING = (Ask, Extension, Commitment)

Status = Literal["held", "committed", "sold", "shipped", "released", "expired", "refused"]


class ToldLine(BaseModel):
    sku: str | None = None
    listing_ref: str | None = None
    asked: int
    held: int
    free: int | None = Field(default=None, description="Where less was held than asked: units that were free then")
    known: bool = Field(default=True, description="False: there is no such SKU or listing")


class Reservation(BaseModel):
    """A hold as it is at this moment, and what this call did (`outcome`)."""

    key: str
    channel: str
    status: Status = Field(description="Only `held` and `committed` (and `sold`) keep units for you")
    outcome: Literal[
        "held", "repeated", "read", "extended", "committed", "released", "already_committed", "already_sold",
        "already_shipped", "already_released", "already_expired", "already_refused",
    ]  # fmt: skip
    lines: list[ToldLine]
    placed_at: datetime
    expires_at: datetime | None = Field(description="null: it was committed, and does not expire")
    order_id: str | None


class HoldProblem(ProblemBody):
    """`refused` and `over` say how the hold stands."""

    key: str | None = None
    hold_status: Status | None = None
    lines: list[ToldLine] = Field(default=[])


class FreeLine(BaseModel):
    sku: str | None = None
    listing_ref: str | None = None
    free: int
    known: bool = True


class Availability(BaseModel):
    """What a hold could have got at this moment. Only a hold keeps it."""

    channel: str
    free: list[FreeLine]


class Health(BaseModel):
    status: Literal["ok"]


OUTGOING = (Reservation, HoldProblem, Availability, Health)


def is_key(text: str) -> bool:
    return _KEYS.fullmatch(text) is not None


def is_name(text: str) -> bool:
    return 1 <= len(text) <= LONGEST_NAME and _NAMES.fullmatch(text) is not None


def told(outcome: str, key: str, channel: str, hold: HoldState) -> dict[str, Any]:
    """The document of `Reservation`."""
    return {
        "key": key,
        "channel": channel,
        "status": status_of(hold),
        "outcome": outcome,
        "lines": lines_of(hold),
        "placed_at": _when(hold.placed_at),
        "expires_at": hold.expires_at and _when(hold.expires_at),
        "order_id": hold.order_id,
    }


def status_of(hold: HoldState) -> str:
    if hold.status is ReservationStatus.LIVE:
        return "committed" if hold.expires_at is None else "held"
    return hold.status.value


def lines_of(hold: HoldState) -> list[dict[str, Any]]:
    return [_line(line) for line in hold.lines]


def free_of(lines: list[HeldLine]) -> list[dict[str, Any]]:
    return [{_name(line): line.name, "free": line.free, "known": line.known} for line in lines]


def _line(line: HeldLine) -> dict[str, Any]:
    document: dict[str, Any] = {_name(line): line.name, "asked": line.asked, "held": line.held}
    if line.free is not None:
        document |= {"free": line.free, "known": line.known}
    return document


def _name(line: HeldLine) -> str:
    return "listing_ref" if line.is_listing else "sku"


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
