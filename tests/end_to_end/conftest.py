"""One stack for all end-to-end tests that trade on it: starting one takes ten seconds."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from market_stage import Market, open_market

_open = ExitStack()
_markets: list[Market] = []


@pytest.fixture(scope="module")
def market() -> Market:
    """The same for one module after the other."""
    if not _markets:
        folder = _open.enter_context(tempfile.TemporaryDirectory(prefix="onhand-test-"))
        _markets.append(_open.enter_context(open_market(Path(folder))))
    return _markets[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """The market closes with the last test that is at it: a Prefect server takes a tenth of a core for being there."""
    try:
        yield
    finally:
        if not (isinstance(nextitem, pytest.Function) and "market" in nextitem.fixturenames):
            _close()


def pytest_sessionfinish() -> None:
    """After an interruption there was no last test."""
    _close()


def _close() -> None:
    _markets.clear()
    _open.close()
