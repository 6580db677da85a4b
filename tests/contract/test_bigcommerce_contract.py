"""The contract of a channel over the BigCommerce adapter and its sandbox, judged by the vendor's own documents."""

from bigcommerce_stage import BigCommerceStage, load_spec
from channel_contract import contract_suite

TestBigCommerce = contract_suite(BigCommerceStage, spec=load_spec)
