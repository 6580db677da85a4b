"""Our services against their own OpenAPI documents: whatever is sent, no answer is a 5xx or an undocumented one."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from ledger_stage import assert_sound, business
from reservation_stage import TOKENS, served
from sqlalchemy import Engine

from benchmarks.webhook_apps import HmacReceiver
from onhand.services.intake import create_app
from onhand.services.serve import serving

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

checks = pytest.importorskip("schemathesis.specs.openapi.checks")
LEFT_OUT = [
    # A schema cannot say "the key in the body or in the header".
    checks.positive_data_acceptance,
    # `?sku=false` is the SKU "false", and no boolean; test_reservation_input has bodies that make no sense.
    checks.negative_data_rejection,
    # It leaves out no header that is handed to the call; test_reservation_api asks without a token.
    checks.ignored_auth,
]

EXAMPLES = settings(
    max_examples=30,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)


def hammer(url: str, headers: dict[str, str], **path: str) -> int:
    """Valid and invalid requests to each operation of the service; returns how many. Raises what broke its document.

    `path`: parts of the address that are to be these, where an operation has them.
    """
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    sent = 0
    for found in schema.get_all_operations():
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):

            @EXAMPLES
            @given(case=found.ok().as_strategy(generation_mode=mode))
            def one(case: Any) -> None:
                nonlocal sent
                sent += 1
                case.path_parameters |= {name: value for name, value in path.items() if name in case.path_parameters}
                case.call_and_validate(headers=headers, excluded_checks=LEFT_OUT)

            # An operation that takes nothing cannot be asked wrongly.
            with suppress(Unsatisfiable):
                one()
    return sent


def test_reservations(engine: Engine, record_property: Any) -> None:
    business(engine, stock_at={"A": {"main": 10**6}})
    with served(engine, lambda: datetime.now(UTC)) as url:
        sent = hammer(url, {"authorization": f"Bearer {TOKENS['web']}"})
    record_property("requests", sent)
    print(f"reservations: {sent} requests")
    assert sent > 200
    assert_sound(engine)


def test_webhooks(engine: Engine, record_property: Any) -> None:
    class Anything(HmacReceiver):
        """Every signature fits, so that what is behind it is reached; and it answers challenges."""

        def verify(self, headers: Mapping[str, str], body: bytes) -> bool:
            return True

        def challenge(self, code: str) -> str:
            return "proved"

    app = create_app(engine, {"marketplace": HmacReceiver(), "anything": Anything()})
    with serving(app) as url:
        sent = hammer(url, {}) + hammer(url, {}, channel="anything") + hammer(url, {}, channel="marketplace")
    record_property("requests", sent)
    print(f"webhooks: {sent} requests")
    assert sent > 200
    with engine.connect() as connection:
        counted = dict(connection.exec_driver_sql("SELECT outcome, sum(times)::int FROM intake_count GROUP BY 1").all())
    assert counted["forged"] > 10 and counted["unreadable"] > 10
