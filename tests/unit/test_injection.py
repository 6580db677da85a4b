"""Text from outside does nothing where it is shown: in a spreadsheet, in Markdown, in a page, on a terminal; and the
names of files, addresses and patterns that people give lead nowhere else."""

import ast
import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from rich.console import Console

from adapters.channels.shopify.shopify_config import ShopifyConfig
from adapters.count_csv import plain, sheet_csv
from adapters.export_csv import ExportError, read_export
from adapters.history_csv import read_history
from adapters.http import ChannelFault, call, make_client, public
from adapters.sandbox.order_csv import TraceError
from adapters.seller_csv import CsvError, read_csv
from inventory.counting.counting_sheets import SheetLine
from inventory.outside_text import in_markdown, one_line
from onhand.commands.shown import escape
from tasks.health.health_page import document, rows_table
from tasks.reconciling.reconcile_report import moment
from tasks.replaying.replay_report import html_page, markdown

ROOT = Path(__file__).resolve().parents[2]
EVIL = (
    '=HYPERLINK("https://evil.example","x")', "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1+1",
    "<script>alert(1)</script>", "![x](https://evil.example/x.png)", "[x](javascript:alert(1))", "a | b\n| c | d |",
    "<img src=x onerror=alert(1)>", "`code` *bold* _it_ ~~no~~", "# heading", "1. list", "https://evil.example/x",
    "www.evil.example", "\x1b[2J\x1b]8;;https://evil.example\x07x", "a\nINFO forged", "\u202etxt.exe", "[bold red]x[/]",
)  # fmt: skip


def test_no_cell_of_a_count_sheet_is_a_formula() -> None:
    lines = [SheetLine(1, number, "=main", one, one, (one,)) for number, one in enumerate(EVIL, 1)]
    rows = list(csv.reader(io.StringIO(sheet_csv(lines), newline="")))
    cells = [cell for row in rows[1:] for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d"))]
    assert [plain(row[3]) for row in rows[1:4]] == list(EVIL[:3]), "and it is known again when it comes back"


def test_no_other_file_for_spreadsheets_is_written() -> None:
    """Whoever writes one more uses `harmless`, and is named here."""
    writers = {
        path.relative_to(ROOT).as_posix()
        for package in ("adapters", "inventory", "expectations", "tasks", "flows", "onhand")
        for path in (ROOT / package).rglob("*.py")
        if "sandbox" not in path.parts and re.search(r"csv\.(writer|DictWriter)|\.to_(csv|excel)\(", path.read_text())
    }
    assert writers == {"adapters/count_csv.py"}


@pytest.mark.parametrize("evil", EVIL)
def test_markdown_shows_it_and_does_nothing(evil: str) -> None:
    shown = in_markdown(evil)
    assert shown.replace("\u200b", "").isprintable()
    # What begins something has its backslash, all else is as it was.
    assert not re.search(r"(?<!\\)(\\\\)*[`*_\[\]<>|~]", shown)
    assert not re.match(r"[#+=-]|\d+[.)]", shown)
    assert "://" not in shown and "www." not in shown
    assert re.sub(r"\\(.)|\u200b", r"\1", shown) == one_line(evil)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def harmless(html: str) -> bool:
    page = Page()
    page.feed(html)
    return not {"script", "img", "iframe", "a"} & set(page.tags) and not [
        name for name in page.attributes if name.startswith("on") or name in ("href", "src")
    ]


@pytest.mark.parametrize("evil", EVIL)
def test_pages_show_it_and_do_nothing(evil: str) -> None:
    row = {"policy": evil, "lag": 60.0, "outage": evil, "oversold_lines_outside": 1, "oversold_lines_in_outage": 0,
           "oversold_lines": 1, "oversold_units": 1, "fill": 0.9, "hidden_lines_share": 0.0, "api_calls_per_line": 1.0,
           "cost": 0.0}  # fmt: skip
    bad = [SimpleNamespace(line_number=1, reason=evil)]
    read: Any = SimpleNamespace(cancellations=0, adjustments=0, non_stock={}, bad=bad, spread_over_the_minute=False)
    request: Any = SimpleNamespace(oversell_cost=0.0, margin=0.0, channels=1, cover_weeks=2.0, units="line")
    replay: Any = SimpleNamespace(request=request, read=read, days=1, skus=1, lines=1, rows=[row])
    assert harmless(html_page(replay))
    assert harmless(document(evil, rows_table([{evil: evil, "message": evil}])))


def test_a_markdown_table_keeps_its_cells() -> None:
    made = markdown([{"policy": in_markdown("a | b\n| c"), "fill": "1"}], [])
    assert len(re.findall(r"(?<!\\)\|", made.splitlines()[2])) == 3


def test_a_terminal_is_not_steered() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=200)
    for evil in EVIL:
        console.print(escape(evil), highlight=False)
    said = out.getvalue()
    assert "\x1b" not in said and "\x07" not in said and "\u202e" not in said
    assert "[bold red]x[/]" in said


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "/dev/zero",
        "/proc/self/environ",
        "a\x00b.csv",
        "~nobody-here/x.csv",
        "x" * 5000 + ".csv",
        "folder.csv",
        "link.csv",
        "/dev/zero.csv",
    ],
)
def test_a_form_reads_tables_and_nothing_else(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.csv").symlink_to("/etc/hostname")
    with pytest.raises(CsvError) as caught:
        read_csv(name, required=("sku",), folder=tmp_path)
    assert "root:" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize("name", ["/dev/zero", "/etc", "a\x00b.csv", "/proc/self/environ", "/etc/passwd", "nowhere"])
def test_a_history_and_an_export_are_files_and_quote_nothing(name: str) -> None:
    for read in (lambda: read_history(Path(name), shares=[1.0]), lambda: read_export(Path(name))):
        with pytest.raises((TraceError, ExportError)) as caught:
            read()
        assert "root:" not in str(caught.value) and "PATH=" not in str(caught.value)


def test_reconcile_report_fields(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 11, 20, tzinfo=UTC)
    for name in ("a\x00b.csv", "~nobody-here/x.csv", "/nowhere/x.csv", "x" * 5000 + ".csv"):
        assert moment(name, "", tmp_path, now=now) == now


@pytest.mark.parametrize(
    "base_url",
    [
        "http://shop.example.com",
        "https://me:secret@shop.example.com",
        "https://a\\b.c",
        "ftp://shop.example.com",
        "https://[::1",
        "http://127.0.0.1.evil.example",
    ],
)
def test_no_token_goes_over_plain_http_or_to_an_address_that_is_none(base_url: str) -> None:
    location = "gid://shopify/Location/1"
    fields = {"code": "s", "vendor": "shopify", "access_token_env": "T", "location_id": location, "locations": ["main"]}
    with pytest.raises(ValueError, match="base_url") as caught:
        ShopifyConfig(base_url=base_url, **fields)  # type: ignore[arg-type]
    assert "secret@" not in str(caught.value)
    assert ShopifyConfig(base_url="http://127.0.0.1:8000", **fields)  # type: ignore[arg-type]


def test_a_redirect_is_not_followed_and_carries_no_token_away() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(302, headers={"location": "https://evil.example/take"})

    token = SecretStr("token-of-the-shop").get_secret_value()
    headers = {"authorization": f"Bearer {token}"}
    with make_client(base_url="https://shop.test", headers=headers, transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(ChannelFault) as caught:
            call(client, "shop", "GET", "/orders", writes=False)
    assert asked == ["https://shop.test/orders"]
    assert caught.value.status == 302 and token not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "is_public"),
    [
        ("bucket.s3.amazonaws.com", True),
        ("93.184.216.34", True),
        ("169.254.169.254", False),
        ("10.0.0.1", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("fd00::1", False),
        ("localhost", False),
        ("metadata.google.internal", False),
        ("db.local", False),
        ("100.64.0.1", False),
        ("fe80::1%eth0", False),
        ("::ffff:10.0.0.1", False),
    ],
)
def test_an_answer_does_not_lead_into_our_own_network(host: str, is_public: bool) -> None:
    assert public(host) is is_public


REVIEWED = {
    r"(/[A-Za-z0-9._~!$&'()*+,;=:@%{}-]*)+",
    r"(?:.*/)?(?:\w+-)*(\d+)",
    r"block:(onhand-[a-z]+)/([a-z0-9]+(?:-[a-z0-9]+)*)\.([a-z_]+)",
    r'<([^<>]*)>((?:\s*;\s*[a-zA-Z*]+\s*=\s*(?:"[^"]*"|[^\s",;]+))*)',
}
"""Patterns with a repetition within a repetition: each round of these begins or ends with a sign that the inner one
lacks, so that there is one way to match only."""


def patterns() -> dict[str, str]:
    """Every pattern of the sources that is written out."""
    found = {}
    for package in ("adapters", "inventory", "expectations", "tasks", "flows", "onhand"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                    function = node.func
                    ours = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
                    if ours and function.value.id == "re" and isinstance(node.args[0].value, str):  # type: ignore[attr-defined]
                        found[node.args[0].value] = f"{path.name}:{node.lineno}"
    return found


def repeats_within(pattern: str) -> bool:
    from re import _constants, _parser  # type: ignore[attr-defined]

    def deep(parsed: Any, within: bool) -> bool:
        for kind, value in parsed:
            again = kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT) and value[1] > 1000
            if again and within:
                return True
            inner = value if isinstance(value, tuple | list) else [value]
            flat = [part for one in inner for part in (one if isinstance(one, list) else [one])]
            for part in flat:
                if isinstance(part, _parser.SubPattern) and deep(part, within or again):
                    return True
        return False

    return deep(_parser.parse(pattern), False)


def test_no_pattern_takes_for_ever() -> None:
    known = patterns()
    assert len(known) > 60
    assert repeats_within("(a+)+b") and repeats_within("(a|b*)*") and not repeats_within("(ab)+c*")
    assert {one for one in known if repeats_within(one)} == REVIEWED
