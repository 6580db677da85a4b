"""The threat model names tests, files and limits that exist."""

import ast
import re
from pathlib import Path

import pytest

from adapters import export_csv, http, seller_csv
from adapters.database import create_engine
from adapters.sandbox import order_csv
from adapters.suppliers import feed_content, feed_xml
from flows.forms import csv_field
from inventory.policies import policy_file
from onhand import processes
from onhand.services import heads, intake, reservation_api, reservation_messages, serve
from tasks import report

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "threat_model.md").read_text()
WEBHOOKS = intake.IntakeLimits()
ROWS = [line for line in PAGE.splitlines() if line.startswith("|") and not set(line) <= set("|- ")]


def known_tests() -> set[str]:
    trees = (ast.parse(path.read_text()) for path in (ROOT / "tests").rglob("*.py"))
    return {
        node.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_test_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 50
    assert named - known_tests() == set()


def test_every_threat_and_limit_names_a_test() -> None:
    heads_of_tables = ("| threat |", "| of what |")
    bare = [row for row in ROWS if "`test_" not in row and not row.startswith(heads_of_tables)]
    # The limits have a table of their own.
    assert [row.split("|")[1].strip() for row in bare] == ["**Denial**: too much, too long, too slow, too deep"]


def test_every_file_named_exists() -> None:
    files = [one for one in re.findall(r"`([\w/*]+\.(?:py|lock|toml))`", PAGE) if one not in ("channels.toml",)]
    missing = [one for one in files if not list(ROOT.glob(one if "/" in one else f"**/{one}"))]
    assert len(files) > 20 and missing == []


def row_of(what: str) -> str:
    [found] = [row for row in ROWS if row.startswith(f"| {what}")]
    return found


@pytest.mark.parametrize(
    ("what", "numbers"),
    [
        ("webhook: body", [f"{WEBHOOKS.body_bytes // 2**20} MB", f"{WEBHOOKS.body_seconds:g} s"]),
        ("webhooks: bodies", [f"{WEBHOOKS.held_bytes // 2**20} MB", f"{WEBHOOKS.waiting:,}"]),
        ("reservation: body", [
            f"{reservation_api.Terms().body_bytes // 1024} KB", f"{reservation_messages.MOST_LINES}",
            f"{reservation_messages.MOST_UNITS:,}", f"{reservation_api.MOST_NAMES}",
        ]),
        ("head of a request", [f"{heads.MOST_HEAD_BYTES // 1024} KB", f"{heads.MOST_HEADERS}", f"{heads.HEAD_S:g} s"]),
        ("connections of a service", [f"{serve.CONNECTIONS:,}", f"{serve.KEEP_ALIVE_S} s"]),
        ("answer of a channel", [f"{http.MAX_BYTES // 2**20} MB"]),
        ("table of a form", ["500 KB", f"{seller_csv.MAX_BYTES // 2**20} MB", f"{seller_csv.MAX_ROWS:,}"]),
        ("supplier's feed", [f"{feed_content.MAX_ROWS:,}", f"{feed_xml.DEEPEST}", f"{feed_content.LONGEST_CELL}"]),
        ("order history", [f"{order_csv.MAX_FILE_BYTES // 2**20} MB", f"{export_csv.MAX_BYTES // 2**20} MB"]),
        ("policy file", [f"{policy_file.LONGEST_TEXT:,}"]),
        ("log of a part", [f"{processes._LOG_LIMIT // 10**6} MB"]),
        ("artifact", [f"{report.MOST_ROWS}", f"{report.LONGEST_CELL:,}"]),
    ],
)  # fmt: skip
def test_the_limits_are_as_stated(what: str, numbers: list[str]) -> None:
    row = row_of(what)
    assert [one for one in numbers if one not in row] == []


def test_every_limit_of_a_service_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> None: ...

    made = serve.config(nothing, "127.0.0.1", 0)
    assert (made.limit_concurrency, made.timeout_keep_alive) == (serve.CONNECTIONS, serve.KEEP_ALIVE_S)
    assert made.http is heads.LimitedHead and made.ws == "none"
    assert not (made.access_log or made.proxy_headers or made.server_header)
    engine = create_engine("postgresql://nobody@127.0.0.1:9/nothing", pool_size=3)
    assert (engine.pool.size(), engine.pool._max_overflow, engine.pool._timeout) == (3, 3, 30)  # type: ignore[attr-defined]
    engine.dispose()
    assert csv_field("t", "c").metadata[1].max_length == 500_000

    told: dict[str, list[dict[str, object]]] = {}
    monkeypatch.setattr(report, "create_table_artifact", lambda **given: told.update(given))
    report.table("key", [{"a": "x\x1b[2J" + "y" * 9000, "n": 7}] * (report.MOST_ROWS + 1), "words")
    assert len(told["table"]) == report.MOST_ROWS and told["table"][0]["n"] == 7
    assert len(str(told["table"][0]["a"])) == report.LONGEST_CELL and "\x1b" not in str(told["table"][0]["a"])
    assert str(told["description"]).endswith("1 more rows are not shown.")
