"""The registry of every rule: the single source that the gate, the masks, the tests and the docs read."""

from expectations import (
    channel_snapshot,
    count_sheet,
    listing_map,
    orders_pulled,
    outgoing_push,
    receipt_rules,
    shipments,
    stock_balances,
    supplier_feed,
)
from expectations.rule import Action, Rule, Scope, Suite

__all__ = ["RULES", "SUITES", "Action", "Rule", "Scope", "Suite", "rules_of", "suite_named"]

SUITES: dict[str, Suite] = {
    suite.name: suite
    for suite in (
        orders_pulled.SUITE,
        outgoing_push.SUITE,
        listing_map.SUITE,
        stock_balances.SUITE,
        count_sheet.SUITE,
        channel_snapshot.SUITE,
        receipt_rules.SUITE,
        shipments.SUITE,
        supplier_feed.SUITE,
    )
}

RULES: tuple[Rule, ...] = tuple(rule for suite in SUITES.values() for rule in suite.rules)


def suite_named(name: str) -> Suite:
    """Raises KeyError with the names there are."""
    try:
        return SUITES[name]
    except KeyError:
        raise KeyError(f"no suite {name!r}; there are {', '.join(sorted(SUITES))}") from None


def rules_of(suite: str) -> tuple[Rule, ...]:
    return suite_named(suite).rules
