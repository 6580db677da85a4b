"""One stack for all end-to-end tests that trade on it: starting one takes ten seconds."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from market_stage import Market, open_market


@pytest.fixture(scope="session")
def market() -> Iterator[Market]:
    with tempfile.TemporaryDirectory(prefix="onhand-test-") as name, open_market(Path(name)) as market:
        yield market
