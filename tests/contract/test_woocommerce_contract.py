"""The whole contract, for WooCommerce."""

from channel_contract import contract_suite
from woocommerce_stage import WooCommerceStage, load_spec

TestWooCommerce = contract_suite(WooCommerceStage, spec=load_spec)
