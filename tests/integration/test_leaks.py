"""After a stretch of trading with faults, refused credentials and webhooks: no secret and no buyer anywhere."""

import json
import logging
import sqlite3
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from shops import LOCATION, Stage, two_shops
from sqlalchemy import Engine, text

from adapters.channels.protocol import Channel
from adapters.channels.shopify.shopify import Shopify
from adapters.channels.shopify.shopify_webhooks import ShopifyWebhooks
from adapters.channels.woocommerce.woocommerce import WooCommerce
from adapters.database import in_transaction
from adapters.sandbox.faults import Fault, FaultKind, Operation
from expectations import gate
from inventory import setup
from inventory.orders import notice_store
from onhand.command_line import run
from onhand.commands.leaks import Wanted, in_files, in_ledger, in_sqlite
from onhand.services.intake import judge
from tasks.publishing.publish import publish
from tasks.selling.pull import pull

WRONG = {"wrong token": "shpat_0123456789-wrong", "wrong key": "ck_0123456789-wrong", "webhooks": "whsec-0123456789"}


def refused(code: str, url: str) -> Channel:
    if code == "shopify":
        return Shopify(code, base_url=url, access_token=SecretStr(WRONG["wrong token"]), location_id=LOCATION)
    key = SecretStr(WRONG["wrong key"])
    return WooCommerce(code, base_url=url, consumer_key=key, consumer_secret=key)


def told(call: Callable[[], Any], said: list[str]) -> None:
    """What comes of it, with all that an error drags along."""
    try:
        said.append(repr(call()))
    except Exception as error:
        said += [repr(error), "".join(traceback.format_exception(error)), repr(vars(error))]


def trade(stage: Stage, said: list[str]) -> list[str]:
    """A day of it. Gives all that is personal in the orders."""
    orders = []
    for kind in (None, FaultKind.ERROR_AFTER, FaultKind.MALFORMED, FaultKind.ERROR_BEFORE):
        for code, shop in stage.shops.items():
            if kind is not None:
                shop.faults.replace([Fault(kind, operation=Operation.ORDERS, times=1)])
            told(lambda: publish(stage.runtime), said)
            product = shop.product("A")
            if product.quantity:
                orders += [found for found in [shop.checkout([("A", 1)]).order] if found]
            told(lambda code=code: pull(stage.runtime, code), said)
    stranger = replace(stage.runtime, open=lambda code: refused(code, stage.urls[code]), pool=None)
    for code in stage.shops:
        told(lambda code=code: pull(stranger, code), said)
    told(lambda: publish(stranger), said)
    return [one for order in orders for one in order.buyer.strings()]


def webhook(stage: Stage, personal: list[str]) -> str:
    """A genuine one that is stored and one that is not, with a buyer in each."""
    receiver = ShopifyWebhooks([SecretStr(WRONG["webhooks"])])
    receiver.verify = lambda headers, body: True  # type: ignore[method-assign]
    now, said = stage.runtime.now(), ""
    for body in ({"id": 1, "email": personal[1]}, {"id": personal[0], "note": personal[3]}):
        headers = {"x-shopify-topic": "orders/create", "x-shopify-webhook-id": "b54557e4-bdd9", "x-name": personal[0]}
        judged = judge("shopify", receiver, headers, json.dumps(body).encode(), now, stage.runtime.lease)
        in_transaction(
            stage.runtime.engine, lambda connection, new=judged.notices: notice_store.store(connection, new, now=now)
        )
        said += repr(judged)
    return said


def test_no_secret_and_no_buyer_after_a_stretch_of_trading(
    engine: Engine, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with two_shops(engine, {"A": 40, "B": 5}) as stage:
        stage.runtime.check = gate.recheck
        personal = trade(stage, said)
        said.append(webhook(stage, personal))
        assert len(personal) >= 20
    with engine.connect() as connection:
        counted = {
            table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("inbox", "movement", "publication", "notice", "order_line")
        }
    assert all(counted.values()), f"or this test proves nothing: {counted}"
    wanted = Wanted(WRONG | {f"buyer {number}": one for number, one in enumerate(personal)})
    assert list(in_ledger(engine, wanted)) == []
    own = [f"{one.getMessage()} {one.__dict__}" for one in caplog.records if one.name.split(".")[0] in OURS]
    assert wanted.within("\n".join([*said, *own])) == []


OURS = {"adapters", "inventory", "tasks", "flows", "onhand", "expectations", "httpx", "root"}


def test_the_search_finds_what_is_there(engine: Engine, tmp_path: Path) -> None:
    value = 'an "odd" secret/1'
    wanted = Wanted({"odd": value, "other": "never-there"})
    with engine.begin() as connection:
        setup.add_locations(connection, ["an-odd-place"])
        connection.execute(text("CREATE TABLE papers (id int, content jsonb)"))
        connection.execute(text("INSERT INTO papers VALUES (1, CAST(:it AS jsonb))"), {"it": '{"a": ["an-odd-place"]}'})
    assert set(in_ledger(engine, Wanted({"place": "an-odd-place"}))) == {"location: place", "papers: place"}
    assert list(in_ledger(engine, wanted)) == []
    log = tmp_path / "a.log"
    log.write_text(f"GET /x?key={value.replace(' ', '%20').replace(chr(34), '%22').replace('/', '%2F')}\n")
    assert list(in_files([log, tmp_path], wanted)) == ["a.log: odd"]
    file = tmp_path / "p.db"
    with sqlite3.connect(file) as made:
        made.execute("CREATE TABLE log (message)")
        made.execute("INSERT INTO log VALUES (?)", (json.dumps({"said": value}),))
    made.close()
    assert list(in_sqlite(file, wanted)) == ["log: odd"]
    with pytest.raises(ValueError, match="shorter than 6 characters: pin"):
        Wanted({"pin": "1234"})


CHANNELS = """
[[channel]]
code = "portal"
vendor = "shopify"
base_url = "https://a-shop.myshopify.com"
location_id = "gid://shopify/Location/1"
access_token_env = "A_SHOP_TOKEN"
webhook_secret_env = ["A_SHOP_SECRET", "A_SHOP_OLD_SECRET"]
locations = ["main"]
"""


def test_the_command_names_places_and_no_values(
    engine: Engine,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "channels.toml").write_text(CHANNELS)
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "worker.log"
    log.write_text("all is well\n")
    for name, value in {
        "ONHAND_DATABASE_URL": database_url, "ONHAND_DATA_DIR": str(tmp_path),
        "ONHAND_CHANNELS_FILE": str(tmp_path / "channels.toml"), "A_SHOP_TOKEN": "shpat_of-this-test",
        "A_SHOP_SECRET": "short", "ONHAND_SUPPLIERS_FILE": str(tmp_path / "s.toml"),
        "ONHAND_ALERTS_FILE": str(tmp_path / "a.toml"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    assert run(["leaks", "--also", "Wilhelmina Quist"]) == 0
    said = capsys.readouterr().out
    assert "not looked for: A_SHOP_SECRET is shorter" in said and "not looked for: A_SHOP_OLD_SECRET is not set" in said
    log.write_text("GET https://a-shop/?token=shpat_of-this-test answered 401\n")
    with engine.begin() as connection:
        setup.add_items(connection, {"A": "a mug for Wilhelmina Quist"})
    assert run(["leaks", "--also", "Wilhelmina Quist"]) == 1
    said = capsys.readouterr().out
    assert "worker.log: A_SHOP_TOKEN" in said and "ledger, item: --also, number 1" in said
    assert "shpat" not in said and "Wilhelmina" not in said
