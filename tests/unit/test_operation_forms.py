"""The forms of the operations refuse nonsense before a run begins."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from flows.adjust_stock import adjust_stock
from flows.pause_channel import pause_channel
from flows.promo_guard import promo_guard
from flows.release_quarantine import release_quarantine
from flows.resume_channel import resume_channel
from flows.sync_now import sync_now
from flows.transfer_stock import transfer_stock
from tasks.approve import Answer

WHO = {"actor": "Wanda", "reason": "because of it"}
FORMS: dict[str, tuple[Any, dict[str, Any]]] = {
    "adjust": (
        adjust_stock,
        WHO | {"sku": "A", "location": "main", "how": "change by", "quantity": -1, "why": "lost"},
    ),
    "transfer": (transfer_stock, WHO | {"step": "send", "reference": "T-1"}),
    "pause": (pause_channel, WHO | {"channel": "shopify"}),
    "resume": (resume_channel, WHO | {"channel": "shopify"}),
    "sync": (sync_now, WHO),
    "promo": (
        promo_guard,
        WHO | {"name": "Black Friday", "begin": "2026-11-27T00:00:00Z", "end": "2026-11-30T00:00:00Z", "skus": ["A"]},
    ),
    "release": (release_quarantine, WHO | {"what": "stock"}),
}


def errors(name: str, parameters: dict[str, Any]) -> list[str]:
    schema = FORMS[name][0].parameters.model_dump_for_openapi() | {"additionalProperties": False}
    return [error.message for error in Draft202012Validator(schema).iter_errors(parameters)]


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_is_filled_in_is_taken_and_needs_a_name_and_a_reason(name: str) -> None:
    flow, filled = FORMS[name]
    assert errors(name, filled) == []
    flow.validate_parameters(filled)
    for field, bad in (("actor", ""), ("actor", "  "), ("actor", "x" * 81), ("reason", "no"), ("reason", None)):
        assert errors(name, filled | {field: bad})
    for field in WHO:
        assert errors(name, {key: value for key, value in filled.items() if key != field})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("adjust", {"quantity": 1.5}),
        ("adjust", {"quantity": "many"}),
        ("adjust", {"quantity": 1_000_001}),
        ("adjust", {"how": "multiply by"}),
        ("adjust", {"why": "because"}),
        ("adjust", {"expected_now": -2}),
        ("adjust", {"sku": ""}),
        ("adjust", {"location": " "}),
        ("transfer", {"step": "lose"}),
        ("transfer", {"reference": ""}),
        ("transfer", {"arrives_within": 0}),
        ("transfer", {"from_location": "a b"}),
        ("pause", {"channel": "Shop!"}),
        ("pause", {"owner": "onhand"}),
        ("resume", {"owner": "nobody"}),
        ("sync", {"channel": "a b"}),
        ("sync", {"skus": [""]}),
        ("sync", {"skus": "A"}),
        ("promo", {"cap": -2}),
        ("promo", {"reserve": -1}),
        ("promo", {"channels": ["Shop!"]}),
        ("promo", {"skus": [3]}),
        ("release", {"what": "everything"}),
        ("release", {"to": "inbound"}),
        ("release", {"units": -1}),
        ("release", {"rows": [7]}),
    ],
)
def test_nonsense_is_marked_in_the_form(name: str, change: dict[str, Any]) -> None:
    assert errors(name, FORMS[name][1] | change)


def test_the_answer_of_an_approval_refuses_by_itself_what_is_no_answer() -> None:
    check = Draft202012Validator(Answer.model_json_schema())
    assert list(check.iter_errors({"decision": "approve", "your_name": "Sue"})) == []
    for answer in (
        {},
        {"decision": "approve"},
        {"decision": "perhaps", "your_name": "Sue"},
        {"decision": "refuse", "your_name": " "},
        {"decision": "refuse", "your_name": "Sue", "more": 1},
    ):
        assert list(check.iter_errors(answer))
