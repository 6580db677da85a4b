"""The whole contract, for the declared channel: the example as it is shipped, and two variations of it."""

from channel_contract import contract_suite
from portal_stage import KeyedByVersionStage, PausedByZerosStage, PortalStage, load_spec

TestPortal = contract_suite(PortalStage, spec=load_spec)
TestKeyedByVersion = contract_suite(KeyedByVersionStage, spec=load_spec)
TestPausedByZeros = contract_suite(PausedByZerosStage, spec=load_spec)
