"""The house rules that a machine can check: who may import whom, what `inventory/` may touch, file sizes and names."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MAY_IMPORT = {
    "onhand": {"onhand", "flows", "tasks", "inventory", "adapters", "expectations"},
    "flows": {"flows", "tasks", "inventory", "adapters", "expectations"},
    "tasks": {"tasks", "inventory", "adapters", "expectations"},
    "adapters": {"adapters", "inventory"},
    "expectations": {"expectations", "inventory"},
    "inventory": {"inventory"},
}
"""flows → tasks → {inventory, adapters, expectations}; adapters → inventory; never back."""

MUST_NOT_KNOW = {
    "inventory": {"prefect", "httpx", "requests", "great_expectations", "fastapi"},
    "expectations": {"prefect", "httpx", "requests"},
    "adapters": {"prefect", "great_expectations"},
}

CLOCK_AND_ENVIRONMENT = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
    ("time", "monotonic"),
    ("time", "perf_counter"),
    ("time", "sleep"),
    ("os", "environ"),
    ("os", "getenv"),
    ("random", "random"),
    ("uuid", "uuid1"),
    ("uuid", "uuid4"),
}
LONGEST_FILE = 400

SOURCES = sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports_of(tree: ast.AST, path: Path) -> Iterator[tuple[str, int]]:
    """Every module that is imported, wherever: also inside functions, by `importlib`, and relatively."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                yield node.module or "", node.lineno
            else:
                package = path.relative_to(ROOT).parts[:-1]
                base = package[: len(package) - node.level + 1]
                yield ".".join([*base, *([node.module] if node.module else [])]), node.lineno
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.args[0].value, node.lineno


def offences(source: str, path: Path) -> list[str]:
    """What a module of one of our packages does that its package may not."""
    package = path.relative_to(ROOT).parts[0]
    tree = ast.parse(source)
    found = []
    for module, line in imports_of(tree, path):
        top = module.split(".", 1)[0]
        if top in MAY_IMPORT and top not in MAY_IMPORT[package]:
            found.append(f"{name_of(path)}:{line} {package} must not import {top}")
        if top == "tests":
            found.append(f"{name_of(path)}:{line} sources must not import tests")
        if top in MUST_NOT_KNOW.get(package, ()):
            found.append(f"{name_of(path)}:{line} {package} must not import {top}")
    if package == "inventory" and "migrations" not in path.parts:
        found += [f"{name_of(path)}:{line} {package} must be handed {what}" for what, line in outside_reads(tree)]
    return found


def outside_reads(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Uses of the clock, of chance and of the environment: `datetime.now`, `from time import time`, …"""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value
            last = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if (last, node.attr) in CLOCK_AND_ENVIRONMENT:
                yield f"{last}.{node.attr}", node.lineno
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (node.module, alias.name) in CLOCK_AND_ENVIRONMENT:
                    yield f"{node.module}.{alias.name}", node.lineno


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_module_keeps_the_arrow(path: Path) -> None:
    assert offences(path.read_text(), path) == []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("inventory/x.py", "def f():\n    import prefect\n"),
        ("inventory/x.py", "from adapters.http import get"),
        ("inventory/x.py", "import importlib\nimportlib.import_module('adapters.http')"),
        ("inventory/channels/x.py", "from ...flows import pull"),
        ("inventory/x.py", "from datetime import datetime\nnow = datetime.now()"),
        ("inventory/x.py", "import datetime\nnow = datetime.datetime.now(datetime.UTC)"),
        ("inventory/x.py", "from time import monotonic"),
        ("inventory/x.py", "import os\nos.environ['A']"),
        ("adapters/x.py", "if True:\n    from tasks.selling.pull import pull"),
        ("tasks/x.py", "import flows.pull"),
        ("expectations/x.py", "import httpx"),
        ("flows/x.py", "import onhand.stack"),
        ("adapters/x.py", "import tests.helpers"),
    ],
)
def test_the_check_sees_an_offence(place: str, source: str) -> None:
    assert offences(source, ROOT / place)


def test_no_two_packages_share_a_module_name() -> None:
    """Within `adapters` a vendor's name comes twice on purpose: its channel and its sandbox."""
    places = defaultdict(set)
    for path in SOURCES:
        # Alembic asks for env.py, Python for __init__ and __main__.
        if not path.stem.startswith("__") and "migrations" not in path.parts:
            places[path.name].add(path.relative_to(ROOT).parts[0])
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_two_tests_share_a_name_and_no_layer_is_a_package() -> None:
    names = [path.name for path in TESTS if path.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))
    assert [name_of(path) for path in TESTS if path.name == "__init__.py"] == []
    assert {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} & set(MAY_IMPORT) == set()


@pytest.mark.parametrize("path", [*(p for p in SOURCES if "versions" not in p.parts), *TESTS], ids=name_of)
def test_file_fits_in_the_head(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
