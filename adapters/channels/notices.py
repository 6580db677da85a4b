"""What a channel tells by itself: that something changed, never what it is now."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from inventory.orders.notice_store import NewNotice, new_notice


@dataclass(frozen=True)
class Notice:
    """One message of a channel. Only ids are taken from it: what they name is then read from the channel."""

    event_id: str
    """The vendor's id of the message, the same when it is delivered again."""
    topic: str
    order_ids: tuple[str, ...]
    """As `read_orders` takes them."""
    listing_refs: tuple[str, ...] = ()


@runtime_checkable
class AnswersChallenges(Protocol):
    """What a receiver of webhooks may also do: prove to the vendor that the address is ours."""

    def challenge(self, code: str) -> str:
        """The response to the code that the vendor sent."""
        ...


@runtime_checkable
class KnowsWhenSigned(Protocol):
    """What a receiver may also do, where the vendor signs a time."""

    def signed_at(self, headers: Mapping[str, str], body: bytes) -> datetime | None:
        """When a verified message was signed; None where it does not say."""
        ...


@runtime_checkable
class KnowsGreetings(Protocol):
    """What a receiver may also do, where the vendor greets a new address without signing it."""

    def greets(self, headers: Mapping[str, str], body: bytes) -> bool:
        """A greeting tells nothing: it is answered and forgotten."""
        ...


class ReceivedMessage(Protocol):
    @property
    def notices(self) -> Sequence[Notice]: ...


class NoticeQueue(Protocol):
    """A queue in which a channel puts its messages, instead of sending webhooks. Used by one thread.

    A message that has nothing to do with our orders may be a notice that names nothing; one that cannot be read
    is a notice of the topic UNREADABLE.
    """

    def receive(self, wait_s: float) -> Sequence[ReceivedMessage]:
        """What waits, or what comes within `wait_s`. It comes again unless it is acknowledged. Raises ChannelFault."""
        ...

    def acknowledge(self, messages: Any) -> None:
        """Take them, as `receive` gave them, out of the queue. Raises ChannelFault."""
        ...


UNREADABLE = "unreadable"
"""Topic of a message that is genuine and not understood: the channel is polled."""


def rows(channel: str, notices: Sequence[Notice]) -> list[NewNotice]:
    """One row for each order and listing that is named; one for a notice that names none."""
    return [
        new_notice(channel, one.event_id, one.topic, order_id, listing_ref)
        for one in notices
        for order_id, listing_ref in [
            *((order_id, "") for order_id in one.order_ids),
            *(("", ref) for ref in one.listing_refs),
        ]
        or [("", "")]
    ]


def unreadable(channel: str, body: bytes) -> NewNotice:
    return new_notice(channel, hashlib.sha256(body).hexdigest(), UNREADABLE)
