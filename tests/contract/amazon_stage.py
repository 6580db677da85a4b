"""What the tests of the Amazon adapter share: a sandbox seller on loopback and the adapter in front of it."""

import random
from typing import Any

from channel_stage import Clock, Stage, Traits
from pydantic import SecretStr
from spec_traffic import SPECS, Spec

from adapters.channels.amazon.amazon import Amazon
from adapters.channels.amazon.amazon_budget import Budget
from adapters.channels.amazon.amazon_shared import Shared
from adapters.channels.protocol import Channel
from adapters.sandbox.amazon.amazon import TOKEN_PATH, Vendor, create_app
from adapters.sandbox.amazon.amazon_queue import PATH as QUEUE_PATH
from adapters.sandbox.amazon.amazon_state import MARKETPLACE, SELLER, FbaStock, Habits
from adapters.sandbox.shop import Order, Shop

CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN = "amzn1.application-1", "amzn1.oa2-cs.v1.secret", "Atzr|refresh-secret"
WRONG_SECRET = "amzn1.oa2-cs.v1.wrong"
AMAZON = SPECS / "amazon"
MODELS = ("orders_2026-01-01", "listingsItems_2021-08-01", "feeds_2021-06-30", "fbaInventory")
OUTSIDE = (TOKEN_PATH, "/presigned/", QUEUE_PATH)
"""The login, the document store and the queue are other services than the one that the models describe."""


class AmazonStage(Stage):
    """Everything on virtual clocks. Rates are a thousand times the vendor's unless `habits` say otherwise."""

    def __init__(self, url: str, *, habits: Habits | None = None, **options: Any) -> None:
        self.url = url
        self.clock = Clock()
        self.shop = Shop(now=self.clock.shop_now, monotonic=self.clock.monotonic)
        self.habits = habits or Habits(
            apply_delay_s=1.0, feed_delay_s=2.0, search_lag_s=0.0, rate_scale=1000.0, overshares=True
        )
        self.fba: dict[str, FbaStock] = {}
        self.app = create_app(
            self.shop,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            refresh_token=REFRESH_TOKEN,
            habits=self.habits,
            fba=self.fba,
        )
        self.vendor: Vendor = self.app.state.amazon
        self.secrets = (CLIENT_SECRET, REFRESH_TOKEN, WRONG_SECRET)
        self.traits = Traits(
            orders_per_page=5,
            reversals=frozenset({"cancel", "remove"}),
            cancel_reasons=frozenset({"customer", "inventory"}),
            tells_restocked=True,
            renews_credentials=True,
            settles_in_s=self.habits.apply_delay_s + self.habits.feed_delay_s,
            unknown_ref="NO-SUCH-SKU",
            unknown_order="902-0000000-9999999",
            untracked=False,
            oversell=False,
            pauses_by_quantity=True,
        )
        self.opened: list[Amazon] = []
        self.shared = self._shared()
        self.channel = self.adapter(**options)

    def _shared(self) -> Shared:
        return Shared(Budget(clock=self.clock.monotonic, sleep=self.clock.sleep))

    def adapter(self, **options: Any) -> Amazon:
        """One adapter more. By default it shares token and budget with the others, as in one process."""
        settings: dict[str, Any] = {
            "base_url": self.url,
            "token_url": f"{self.url}{TOKEN_PATH}",
            "seller_id": SELLER,
            "marketplace_ids": (MARKETPLACE,),
            "client_id": CLIENT_ID,
            "client_secret": SecretStr(CLIENT_SECRET),
            "refresh_token": SecretStr(REFRESH_TOKEN),
            "timeout_s": 30.0,
            "page_size": 5,
            "shared": self.shared,
            "now": self.clock.now,
            "clock": self.clock.monotonic,
            "sleep": self.clock.sleep,
            "chance": random.Random(1),
        }
        self.opened.append(Amazon("amazon", **{**settings, **options}))
        return self.opened[-1]

    def another(self, *, timeout_s: float = 30.0, right_credentials: bool = True) -> Channel:
        if right_credentials:
            return self.adapter(timeout_s=timeout_s)
        return self.adapter(timeout_s=timeout_s, client_secret=SecretStr(WRONG_SECRET), shared=self._shared())

    def expire_credentials(self) -> None:
        self.vendor.state.expire_tokens()

    def settle(self) -> None:
        super().settle()
        self.vendor.settle()
        self.clock.seconds += self.habits.apply_delay_s
        self.vendor.settle()

    def buy(self, *lines: tuple[str, int], test: bool = False) -> Order:
        self.vendor.settle()
        return super().buy(*lines, test=test)

    def close(self) -> None:
        for channel in self.opened:
            channel.close()


def load_spec() -> Spec:
    return Spec.load(*(AMAZON / "models" / f"{name}.json" for name in MODELS), outside=OUTSIDE)
