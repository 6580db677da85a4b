"""The contract of a channel as a library: one call gives an adapter its whole test class.

    # tests/contract/test_shopify_contract.py
    from channel_contract import contract_suite
    from shopify_stage import ShopifyStage

    TestShopify = contract_suite(ShopifyStage)                  # or, with the vendor's specification:
    TestShopify = contract_suite(ShopifyStage, spec=load_spec)  # def load_spec() -> Spec

A vendor brings a `Stage`: the imitated shop, the adapter in front of it, and what the vendor can and
cannot do (`Traits`). The tests are written against `adapters.channels.protocol` alone: none knows a
vendor's name. Where a vendor cannot do a thing, the test adapts or is skipped, with the reason in words.

The suite serves one address for the class on loopback; each test gets a stage, a shop and clocks of its own.
"""

from collections.abc import Callable, Iterator

import pytest
from channel_stage import Clock, Stage, StageMaker, Traits
from contract_faults import FaultsContract
from contract_orders import OrdersContract
from contract_pause import PauseContract
from contract_place import MOST_CALLS, Place, served
from contract_privacy import PrivacyContract
from contract_reversals import ReversalsContract
from contract_stock import CatalogueContract, StockContract
from contract_traffic import TrafficContract
from spec_traffic import SPECS, Spec

__all__ = ["Clock", "Stage", "StageMaker", "Traits", "contract_suite"]


def contract_suite(make_stage: StageMaker, *, spec: Callable[[], Spec] | None = None) -> type:
    """The test class of one adapter; assign it to a module-level name that begins with `Test`.

    `spec`: a function without arguments that loads the vendor's specification (`spec_traffic`), or skips.
    With it every request and answer of all these tests is validated too.
    """

    class Contract(
        TrafficContract,
        PrivacyContract,
        FaultsContract,
        PauseContract,
        CatalogueContract,
        StockContract,
        ReversalsContract,
        OrdersContract,
    ):
        load_spec = staticmethod(spec) if spec else None

        @pytest.fixture(scope="class")
        @classmethod
        def place(cls) -> Iterator[Place]:
            with served(records=spec is not None and SPECS.is_dir()) as place:
                yield place

        @pytest.fixture
        def stage(self, place: Place) -> Iterator[Stage]:
            with place.staged(make_stage) as stage:
                yield stage
                assert place.calls < MOST_CALLS, "the adapter goes on for ever"

    return Contract
