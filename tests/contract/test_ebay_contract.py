"""The contract of a channel over the eBay adapter and its sandbox, all traffic judged by eBay's specifications."""

from typing import Any

from channel_contract import contract_suite
from ebay_stage import EbayStage
from spec_traffic import SPECS, Spec

DOCUMENTS = (
    "sell_inventory_v1_oas3.json",
    "sell_fulfillment_v1_oas3.json",
    "commerce_notification_v1_oas3.json",
    "developer_analytics_v1_beta_oas3.json",
)


def ebay_spec() -> Spec:
    """The token endpoint and the Trading API (XML) have no OpenAPI; 401 and 429 are documented for all APIs at once."""
    paths = [SPECS / "ebay" / name for name in DOCUMENTS]
    return Spec.load(*paths, outside=("/identity/", "/ws/"), undocumented=(401, 429), amend=_bearer)


def _bearer(document: dict[str, Any]) -> None:
    """The validator does not know OAuth 2: what is sent is a bearer token, and it must be there."""
    document["components"]["securitySchemes"] = {"api_auth": {"type": "http", "scheme": "bearer"}}


TestEbay = contract_suite(EbayStage, spec=ebay_spec)
