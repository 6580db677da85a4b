"""Nonsense to every parser of outside data: what comes out is a result, or an error that it has declared and that says
what is wrong; never anything else, never much more than went in, and never the name of a buyer."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import fuzz_parsers
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parser_mutations import Move, mutated
from parser_readers import NoJson, Parser
from parser_samples import PERSONAL
from parsers import PARSERS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = 60
MOST_SAID = 100_000
"""Characters of a result beside what it may repeat of its input."""
LONGEST_ERROR = 20_000
"""Characters; of a file with many mistakes a line for each."""

BY_NAME = {one.name: one for one in PARSERS}
number = st.integers(0, 2**16 - 1)
moves_given = st.lists(st.tuples(number, number, number), min_size=1, max_size=3)


def judged(parser: Parser, content: bytes) -> bool:
    """Whether the parser took it. Raises AssertionError, or the error that it should not have raised."""
    try:
        said, taken = repr(parser.read(content)), True
    except NoJson:
        return False
    except parser.errors as error:
        assert type(error) in parser.errors, "declared as it is, not as a kind of it"
        said, taken = str(error), False
        assert said.strip(), "an error says what is wrong"
        assert len(said) <= LONGEST_ERROR + 4 * len(content)
    assert len(said) <= MOST_SAID + 12 * len(content), "what comes out is bounded by what went in"
    assert parser.may_quote or not [one for one in PERSONAL if one in said]
    return taken


def try_one(parser: Parser, sample: int, moves: Sequence[Move]) -> bool:
    return judged(parser, mutated(parser.samples[sample % len(parser.samples)], parser.kind, moves))


@pytest.mark.parametrize("name", BY_NAME)
def test_nothing_but_the_declared_errors(name: str) -> None:
    parser = BY_NAME[name]
    for sample in parser.samples:
        assert judged(parser, sample) is parser.accepts, "or the nonsense below is made of nonsense"
    taken = []

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(sample=number, moves=moves_given)
    def tried(sample: int, moves: list[Move]) -> None:
        taken.append(try_one(parser, sample, moves))

    tried()
    assert not all(taken) or not parser.errors, "something of it was refused"


FOUND = [
    *(("preferences of eBay", b'<?xml version="1.0" encoding="%s"?><a/>' % name) for name in (b"nope", b"utf-7")),
    *((name, content) for name in ("channels.toml", "suppliers.toml", "raci.toml", "alerts.toml", "policy.toml")
      for content in (b"a = 1" + b"0" * 5000, b"a = " + b"[" * 5000)),
    ("export of a channel", b"x" * 140_000 + b",b\nsku,quantity\nA,1\n"),
    ("outages in words", b"channel=" + b"9" * 5000 + b",weekday=thu"),
    ("time to come again", b"1\x1f"),
]  # fmt: skip
"""What was once let through as something else than a declared error."""


@pytest.mark.parametrize(("name", "content"), FOUND)
def test_what_was_found_stays_mended(name: str, content: bytes) -> None:
    judged(BY_NAME[name], content)


def test_an_id_without_end_is_no_id() -> None:
    [call] = [one for one in BY_NAME["webhook of Shopify"].samples if b"orders/updated" in one]
    endless = call.replace(b'"id": 7', b'"id": ' + b"7" * 4000).replace(b"gid://shopify/Order/7", b"")
    assert "7777" not in repr(BY_NAME["webhook of Shopify"].read(endless))


def test_the_long_way_round_finds_nothing_in_a_moment() -> None:
    assert fuzz_parsers.by_chance(0.0, 1) == 0
    assert fuzz_parsers.moves_of([1, 2, 3, 4, 5, 6, 7]) == [(1, 2, 3), (4, 5, 6)]


READS = frozenset({
    "loads", "reader", "DictReader", "ParserCreate", "b64decode", "fromisoformat", "strptime", "parsedate_to_datetime",
    "decompressobj", "model_validate", "model_validate_json", "validate_python", "validate_json", "parse_qs",
    "load_der_public_key", "read_csv", "fromhex", "fromstring",
})  # fmt: skip
"""Calls by which text or bytes become something else."""
TRANSLATES = ("*_orders.py", "*_webhooks.py", "*_notifications.py", "declared_mapping.py", "*_csv.py", "feed_*.py",
              "*_file.py")  # fmt: skip
"""Names of modules that read what others wrote, whatever they call."""
OTHERWISE = {
    "adapters.channels.amazon.amazon_pull": "one date of an answer; tests/contract bends every answer of every adapter",
    "adapters.channels.ebay.ebay_client": "one date of a header, one of an answer; as above",
    "adapters.clocks": "one date of a header; as above",
    "adapters.channels.declared.declared": "the date of an order that was translated; as above",
    "adapters.embedded_postgres": "the file of our own server's process",
    "adapters.prefect_server": "Prefect's own answers",
    "inventory.orders.notice_gaps": "dates that an adapter has translated, from our own table",
    "inventory.reconciling.order_reconciliation": "as above",
    "inventory.holds.reservations": "a fingerprint from our own table",
    "tasks.fan_out": "what a run of our own has stored",
    "tasks.permission": "what this process has just written",
    "tasks.selling.pull": "dates that an adapter has translated; tests/integration/test_bad_input",
    "tasks.reconciling.reconcile_report": "a field of a form; test_reconcile_report_fields",
    "tasks.health.roll_call": "our own memory file",
}
"""Modules that call one of these and have no line in the registry, and why."""


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("adapters", "inventory", "expectations", "tasks", "onhand/services"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            # The imitated vendors are no outside; what reads a seller's file among them is.
            if "migrations" not in parts and ("sandbox" not in parts or path.stem.endswith("_csv")):
                yield ".".join(parts), path


def calls(path: Path) -> set[str]:
    found = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return {
        one.attr if isinstance(one, ast.Attribute) else one.id
        for one in found
        if isinstance(one, ast.Attribute | ast.Name)
    }


def test_every_module_that_reads_outside_data_is_in_the_registry() -> None:
    covered = {module for parser in PARSERS for module in parser.covers}
    reading = {
        name
        for name, path in modules()
        if calls(path) & READS or (name.startswith("adapters.") and any(path.match(one) for one in TRANSLATES))
    }
    assert reading - covered - OTHERWISE.keys() == set(), "add a parser to the registry, or say why not"
    assert covered - {name for name, _ in modules()} == set()
    assert OTHERWISE.keys() - reading == set(), "said of a module that reads nothing any more"


def test_every_parser_has_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(PARSERS)
