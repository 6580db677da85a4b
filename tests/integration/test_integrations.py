"""The weekly look at each channel: credentials, clock, notices."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fake_channel import Bench, bench, line, order, page
from sqlalchemy import Engine, text

from adapters.channels.protocol import Channel
from adapters.clocks import seconds_ahead
from adapters.http import ChannelFault, Resolution
from adapters.settings import SettingsError
from tasks.health.integrations import Integration, check_integrations
from tasks.selling.pull import pull


@pytest.fixture
def shop(engine: Engine) -> Bench:
    made = bench(engine, {"A": 3}, cas=True, site=False)
    configs: Any = {code: SimpleNamespace(base_url=f"https://{code}", mode="shadow") for code in ("cas", "site")}
    made.runtime = replace(made.runtime, configs=configs)
    return made


def check(shop: Bench, ahead: float | None = 0.0) -> dict[str, Integration]:
    return {one.channel: one for one in check_integrations(shop.runtime, ["cas", "site"], lambda url: ahead)}


def test_all_is_well(shop: Bench) -> None:
    for one in check(shop).values():
        assert (one.orders, one.quantities, one.clock, one.told) == (
            "can be read",
            "can be read",
            "agrees",
            "not set up",
        )
        assert (one.mode, one.first_mode, one.row()["what to do"]) == ("live", "shadow", "nothing")
    assert shop.incidents() == set()
    assert all(channel.written == [] for channel in shop.channels.values())


def test_refused_credentials_are_an_incident_until_they_work(shop: Bench) -> None:
    shop.channels["cas"].pages = [ChannelFault("cas", Resolution.REAUTHENTICATE, "answered 401", status=401)]
    shop.channels["site"].unreadable = ChannelFault("site", Resolution.RETRY, "answered 500", status=500)
    found = check(shop)
    assert found["cas"].locked_out and "docs/credentials.md" in found["cas"].row()["what to do"]
    assert not found["site"].locked_out and "away" in found["site"].row()["what to do"]
    assert shop.incidents() == {("credentials", "cas")}
    shop.channels["cas"].pages = []
    check(shop)
    assert shop.incidents() == set()


def test_a_secret_that_is_not_set_and_a_channel_that_is_not_described(shop: Bench) -> None:
    def open_channel(code: str) -> Channel:
        raise SettingsError("SHOP_TOKEN is not set") if code == "cas" else KeyError(code)

    shop.runtime = replace(shop.runtime, open=open_channel, configs={})
    found = check(shop)
    assert found["cas"].locked_out and "SHOP_TOKEN" in found["cas"].orders
    assert found["site"].first_mode == "not in channels.toml"
    assert "describe it" in found["site"].row()["what to do"]


def test_a_clock_that_is_off(shop: Bench) -> None:
    assert check(shop, 90.0)["cas"].clock == "90 s ahead"
    assert "NTP" in check(shop, -90.0)["cas"].row()["what to do"]
    assert check(shop, 5.0)["cas"].row()["what to do"] == "nothing"
    assert check(shop, None)["cas"].clock == "not told"


def test_a_channel_that_fell_silent(shop: Bench) -> None:
    shop.runtime = replace(shop.runtime, expects_notices=lambda code: True)
    assert check(shop)["cas"].told == "never"
    assert check(shop)["cas"].row()["what to do"] == "nothing", "it has sold nothing"
    shop.channels["cas"].pages = [page(order("1", shop.clock(), line("1", "cas-A")))]
    pull(shop.runtime, "cas")
    shop.channels["cas"].pages = []
    assert "silent" in check(shop)["cas"].row()["what to do"]
    with shop.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO notice (channel, event_id, topic, order_id, received_at, status) "
                "VALUES ('cas', '1', 'orders', '1', :now, 'applied')"
            ),
            {"now": shop.clock()},
        )
    assert check(shop)["cas"].row()["what to do"] == "nothing"


@pytest.mark.parametrize(
    ("date", "least", "most"),
    [
        ("Fri, 01 Jan 2100 00:00:00 GMT", 1e9, 1e10),
        ("Sat, 01 Jan 2000 00:00:00 GMT", -1e10, -1e8),
        ("nonsense", None, None),
        (None, None, None),
    ],
)
def test_the_clock_of_a_server(date: str | None, least: float | None, most: float | None) -> None:
    headers = {"date": date} if date else {}
    transport = httpx.MockTransport(lambda request: httpx.Response(403, headers=headers))
    ahead = seconds_ahead("https://shop", transport=transport)
    assert ahead is None if least is None or most is None else ahead is not None and least < ahead < most


def test_a_server_that_does_not_answer_has_no_clock() -> None:
    def fails(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    assert seconds_ahead("https://shop", transport=httpx.MockTransport(fails)) is None
