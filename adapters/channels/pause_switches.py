"""How each vendor's channel is taken off sale the fastest, in words for people. Kept beside the adapters that do it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PauseSwitch:
    what: str
    """What onhand turns. A whole sentence, as the other two."""
    costs: str
    """How long it takes, and what it takes from the vendor's allowance."""
    by_hand: str
    """Where a person turns it when the interface is away."""


PAUSE_SWITCHES: Mapping[str, PauseSwitch] = {
    "shopify": PauseSwitch(
        "The location stops fulfilling online orders; in a shop of one location every listing is set to 0 instead, and "
        "those that sell on at 0 are stopped.",
        "One call at once, or one for each batch of listings.",
        "Shopify admin, Settings, Locations: switch off *Fulfill online orders* of this location.",
    ),
    "amazon": PauseSwitch(
        "Every listing is set to 0 by a feed. What Amazon's own warehouse sends (FBA) stays on sale.",
        "Live some minutes after Amazon accepted the feed; one feed for up to thousands of listings.",
        "Seller Central, Settings, Account Info: *Going on a vacation* takes all your own offers off sale.",
    ),
    "ebay": PauseSwitch(
        "Every listing that shows something is set to 0; the out-of-stock control keeps it listed.",
        "One revision of each listing on sale, out of those that eBay allows a listing and day.",
        "Seller Hub, Account settings: *Time away*, with item sales paused.",
    ),
    "woocommerce": PauseSwitch(
        "Every listing is counted, set to 0 and kept from being backordered.",
        "One call for each hundred listings, at once.",
        "Your own server: switch the shop to maintenance, or take the checkout page away.",
    ),
    "bigcommerce": PauseSwitch(
        "Every listing that is counted is set to 0; those that are not are made unavailable.",
        "Some calls for each batch; live a moment later.",
        "BigCommerce control panel, Settings, Store: take the store down for maintenance.",
    ),
    "http": PauseSwitch(
        "The switch that channels.toml describes, or every listing set to 0 where it describes none.",
        "One call, or one for each batch of listings.",
        "As the portal's owner says: write it into your copy of this page.",
    ),
}

UNKNOWN_SWITCH = PauseSwitch(
    "The switch of its adapter.",
    "Not known for this vendor.",
    "As the channel's own help says.",
)


def pause_switch(vendor: str) -> PauseSwitch:
    return PAUSE_SWITCHES.get(vendor, UNKNOWN_SWITCH)
