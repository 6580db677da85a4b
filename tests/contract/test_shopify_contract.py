"""The whole contract, for Shopify."""

from channel_contract import contract_suite
from shopify_stage import ShopifyStage, load_spec

TestShopify = contract_suite(ShopifyStage, spec=load_spec)
