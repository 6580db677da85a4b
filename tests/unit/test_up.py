"""`onhand up`: what it says, and what it refuses."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.settings import Settings, settings
from onhand import command_line, up
from onhand.stack import Stack


@pytest.fixture
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("ONHAND_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ONHAND_CHANNELS_FILE", str(tmp_path / "channels.toml"))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.usefixtures("_no_settings")
@pytest.mark.parametrize("content", [None, "", "[[channel]\n", '[[channel]]\ncode = "x"\n'])
def test_own_shops_need_their_file(tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    if content is not None:
        (tmp_path / "channels.toml").write_text(content)
    assert command_line.run(["up", "--no-shops"]) == 2
    said = capsys.readouterr().err
    assert "channels.toml" in said
    assert len(said.strip().splitlines()) == 1
    assert ("docs/channels.example.toml" in said) is (content is None)
    assert not (tmp_path / "data").exists(), "nothing was started"


def test_the_stock_is_the_same_each_time() -> None:
    units = up.some_stock()
    assert units == up.some_stock()
    assert len(units) == up.PRODUCTS
    assert min(units.values()) >= 1


def test_it_says_how_to_buy(tmp_path: Path) -> None:
    stack = Stack(Settings(data_dir=tmp_path), shops=("shopify", "woocommerce"))
    lines = up.what_to_do(stack, {"A'1": 3, "B": 1})
    for shop in stack.shops.values():
        assert any(shop.url in line for line in lines)
        assert not any(shop.token in line for line in lines)
    buy = shlex.split(next(line for line in lines if "checkout" in line))
    assert json.loads(buy[-1]) == {"lines": [{"sku": "A'1", "quantity": 1}]}


def test_without_shops_it_says_where_to_click(tmp_path: Path) -> None:
    lines = up.what_to_do(Stack(Settings(data_dir=tmp_path), shops=()), {})
    assert any("Deployments" in line for line in lines)
    assert not any("curl" in line for line in lines)
