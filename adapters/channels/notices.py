"""What a channel tells by itself: that something changed, never what it is now."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """One message of a channel. Only ids are taken from it: what they name is then read from the channel."""

    event_id: str
    """The vendor's id of the message, the same when it is delivered again."""
    topic: str
    order_ids: tuple[str, ...]
    """As `read_orders` takes them."""
    listing_refs: tuple[str, ...] = ()
