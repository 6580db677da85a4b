"""What `onhand up` tells people to do does what it says."""

import json
import shlex

import httpx
import pytest
from market_stage import UNITS, Market, until

from onhand.stack import StackError
from onhand.trading_day.stage import fresh_stack
from onhand.up import start_shifts, what_to_do

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_shops_fill_up_and_sell(market: Market) -> None:
    """The shifts that `up` starts put numbers on sale; the command that it prints buys one unit."""
    runs = start_shifts(market.stack)
    try:
        assert until(lambda: not market.one("SELECT count(*) FROM outbox"))
        assert until(lambda: not market.one("SELECT count(*) FROM channel WHERE mode = 'live' AND pulled_at IS NULL"))
        line = next(one for one in what_to_do(market.stack, UNITS) if "checkout" in one)
        _, _, url, _, header, _, body = shlex.split(line)
        kind = header.partition(": ")[2]
        receipt = httpx.post(url, content=body, headers={"content-type": kind}, timeout=60, trust_env=False).json()
        assert receipt["accepted"][0]["quantity"] == 1
        assert receipt["accepted"][0]["sku"] == json.loads(body)["lines"][0]["sku"]
    finally:
        for run in runs:
            market.api.cancel(run)
        market.wait(runs)


def test_a_second_stack_does_not_touch_the_first(market: Market) -> None:
    file = market.stack.settings.channels_file
    before = file.read_text()
    settings = market.stack.settings.model_copy(update={"data_dir": market.stack.data_dir.parent})
    with pytest.raises(StackError, match="runs already"):
        fresh_stack(settings, market.stack.data_dir.name, lambda line: None)
    assert file.read_text() == before
