"""What exists is documented, and what is documented exists."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from adapters.settings import PREFIX, Settings
from onhand.command_line import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
USER_PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text() for page in USER_PAGES)
ALL_TEXT = "\n".join(page.read_text() for page in PAGES)

FLOWS = sorted(path.stem for path in (ROOT / "flows").glob("*.py") if path.stem not in ("__init__", "forms"))
DEPLOYMENTS = [one["name"] for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]]
SETTINGS = [PREFIX + name.upper() for name in Settings.model_fields]
TARGETS = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
COMMANDS: dict[str, Any] = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
NOT_SETTINGS = ("ONHAND_SANDBOX_", "ONHAND_STAGE_", "ONHAND_STACK")
"""Variables between the processes of one stack; nobody sets them."""


def code_of(text: str) -> Iterator[str]:
    """Each piece of code of a page: the lines of its blocks, and what stands between backticks."""
    for block in re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from block.splitlines()
    without_blocks = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`([^`]+)`", without_blocks)


CODE = list(code_of(ALL_TEXT))


def calls_of(program: str) -> list[tuple[str, str]]:
    """(first word, rest) of each call of a program in the pages; a comment is no part of it."""
    pattern = rf"(?:^|[\s;&|(/]){program} +([a-z][a-z-]*)([^#]*)"
    return [match.groups() for line in CODE if (match := re.search(pattern, line))]


@pytest.mark.parametrize("name", FLOWS)
def test_every_flow_is_documented(name: str) -> None:
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_deployment_is_documented(name: str) -> None:
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_documented(name: str) -> None:
    assert f"`{name}`" in TEXT


# `make` alone is `make help`.
@pytest.mark.parametrize("name", sorted(set(TARGETS) - {"help"}))
def test_every_make_target_is_documented(name: str) -> None:
    assert name in {target for target, _ in calls_of("make")}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_documented(name: str) -> None:
    assert name in {command for command, _ in calls_of("onhand")}


def test_every_make_target_named_exists() -> None:
    assert {target for target, _ in calls_of("make")} - set(TARGETS) == set()


def test_every_command_and_option_named_exists() -> None:
    for name, rest in calls_of("onhand"):
        assert name in COMMANDS, f"onhand {name}"
        known = {
            option for parameter in COMMANDS[name].params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert set(re.findall(r"--[a-z][a-z-]*", rest)) - known - {"--help"} == set(), f"onhand {name}{rest}"


def test_every_setting_named_exists() -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", ALL_TEXT))
    assert {name for name in named - set(SETTINGS) if not name.startswith(NOT_SETTINGS)} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert broken == []


def test_every_page_can_be_found() -> None:
    """From the README over links, every page and every picture."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        if page.suffix != ".md":
            continue
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            target = (page.parent / link).resolve()
            if "://" not in link and target.is_file() and target not in seen:
                waiting.append(target)
    pictures = sorted((ROOT / "docs" / "images").glob("*.png"))
    assert [str(page.relative_to(ROOT)) for page in [*PAGES, *pictures] if page not in seen] == []
