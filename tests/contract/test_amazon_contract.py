"""The whole contract, for Amazon; every request and answer is judged by the vendor's own models."""

from amazon_stage import AmazonStage, load_spec
from channel_contract import contract_suite

TestAmazon = contract_suite(AmazonStage, spec=load_spec)
