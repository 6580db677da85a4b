"""A catalogue against the ledger's listings, and what a code means here."""

from typing import Any

import pytest

from adapters.channels.protocol import CatalogueEntry
from inventory.naming import Naming
from inventory.onboarding.catalogue_audit import audit
from inventory.skus import How
from inventory.words import FindingKind, FindingSeverity

NAMES = Naming(["A", "B", "C-1"], [("old-a", "A")])


def entry(ref: str, sku: str = "A", **changes: Any) -> CatalogueEntry:
    given: dict[str, Any] = {
        "title": "", "quantity": 1, "tracked": True, "oversell_allowed": False, "on_sale": True, "stocked_here": True,
    }  # fmt: skip
    return CatalogueEntry(ref, sku, **(given | changes))


def found(*entries: CatalogueEntry, **listings: str) -> list[tuple[str, str, str]]:
    return [(one.kind.value, one.severity.value, one.listing_ref) for one in audit(entries, listings, NAMES)]


def test_a_listing_as_it_should_be_gives_nothing() -> None:
    assert found(entry("a"), entry("b", "B"), a="A", b="B") == []
    unknown = {"tracked": None, "oversell_allowed": None, "on_sale": None, "stocked_here": None}
    assert found(entry("a", **unknown), a="A") == []


@pytest.mark.parametrize(
    ("changes", "kind", "severity"),
    [
        ({"tracked": False}, "untracked", "blocker"),
        ({"oversell_allowed": True}, "oversell_allowed", "blocker"),
        ({"stocked_here": False}, "not_stocked", "blocker"),
        ({"fulfilled_by_channel": True}, "fulfilled_by_channel", "blocker"),
        ({"on_sale": False}, "not_on_sale", "info"),
    ],
)
def test_what_is_wrong_with_a_mapped_listing(changes: dict[str, bool], kind: str, severity: str) -> None:
    assert found(entry("a", **changes), a="A") == [(kind, severity, "a")]


@pytest.mark.parametrize(
    ("sku", "suggestion"), [("A", "A"), (" a ", "A"), ("old-a", "A"), ("c-1", "C-1"), ("OLD-A", ""), ("Z", "")]
)
def test_the_suggestion_of_an_unmapped_listing(sku: str, suggestion: str) -> None:
    (one,) = audit([entry("x", sku)], {}, NAMES)
    assert (one.kind, one.severity, one.suggestion) == (FindingKind.UNMAPPED, FindingSeverity.WARNING, suggestion)
    assert one.advice


def test_unmapped_things_that_need_nothing() -> None:
    assert found(entry("x", "POST")) == [("no_stock_kept", "info", "x")]
    assert found(entry("x", fulfilled_by_channel=True)) == [("fulfilled_by_channel", "info", "x")]
    assert found(entry("x", on_sale=False)) == [("unmapped", "info", "x")]
    assert found(entry("x", " ")) == [("empty_sku", "warning", "x")]


def test_one_sku_on_two_listings_is_for_a_person() -> None:
    findings = audit([entry("x"), entry("y", "a")], {}, NAMES)
    assert [(one.kind.value, one.listing_ref, one.suggestion) for one in findings] == [
        ("duplicate_sku", "x", ""), ("duplicate_sku", "y", ""), ("unmapped", "x", ""), ("unmapped", "y", ""),
    ]  # fmt: skip
    mine, *_ = audit([entry("x"), entry("y", fulfilled_by_channel=True)], {}, NAMES)
    assert mine.suggestion == "A"


def test_a_listing_that_is_gone() -> None:
    assert found(a="A") == [("gone", "warning", "a")]


def test_blockers_come_first() -> None:
    severities = [one[1] for one in found(entry("a", tracked=False, on_sale=False), entry("z", "Z"), a="A", b="B")]
    assert severities == ["blocker", "warning", "warning", "info"]


def test_names_survive_a_ledger_that_contradicts_itself() -> None:
    names = Naming(["ab", "AB", "POST", "x"], [("AB", "x"), ("k", "nowhere"), ("q", "x"), ("", "x")])
    assert names.resolve("ab").sku == "ab" and names.resolve("AB").sku == "AB"
    assert names.resolve("Ab").sku is None, "of two spellings nobody knows which"
    assert names.resolve("post").sku == "POST", "it is goods here"
    assert (names.resolve("q").sku, names.resolve("X").sku) == ("x", "x")
    assert names.resolve("k").how is How.UNKNOWN
