"""What all the other tests said to each other, judged by the vendor's specification. The last test of the class."""

import json
import re
from collections.abc import Callable
from typing import ClassVar

import pytest
from contract_place import Place
from spec_traffic import Spec

MOST_TOLD = 30


class TrafficContract:
    load_spec: ClassVar[Callable[[], Spec] | None] = None

    def test_every_request_and_answer_is_in_the_specification(
        self, place: Place, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Prints how many there were, and keeps the counts in the cache of pytest, `d/contract/<class>.json`."""
        load = type(self).load_spec
        if load is None:
            pytest.skip("no specification was given for this vendor")
        spec = load()
        if not place.exchanges:
            pytest.skip("no other test of the class has run")
        found = [str(problem) for exchange in place.exchanges for problem in spec.check(exchange)]
        problems = {re.sub(r"\[\d+\]", "[]", text): None for text in found}
        assert request.cls is not None
        counts = spec.summary()
        name = request.node.parent.name
        if request.config.cache is not None:
            target = request.config.cache.mkdir("contract") / f"{name}.json"
            target.write_text(json.dumps(counts, indent=2))
        with capsys.disabled():
            print(f"\n{name}: {counts['requests']} requests and {counts['answers']} answers validated, ", end="")
            print(f"{len(problems)} problems; left out: {counts['left_out']}")
        if problems:
            pytest.fail("\n".join(list(problems)[:MOST_TOLD]), pytrace=False)
