"""The examples of docs/reservations.md run as they stand there, and the command that serves them."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from ledger_stage import business
from pydantic import SecretStr
from reservation_stage import TOKENS, real_clock, served
from sqlalchemy import Engine

from adapters.channels.woocommerce.woocommerce_config import WooCommerceConfig
from onhand.services.reservation_setup import tokens_from
from onhand.services.tokens import TokenError

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reservations.md").read_text()
CALLS = re.findall(r"^(curl .*?) +# (\d{3})$", PAGE, re.MULTILINE)
SHOP = {
    "code": "website", "vendor": "woocommerce", "base_url": "http://127.0.0.1:9", "locations": ["main"],
    "consumer_key_env": "K", "consumer_secret_env": "S",
}  # fmt: skip


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_examples_answer_as_the_page_says(engine: Engine) -> None:
    business(engine, stock_at={"MUG-BLUE": {"main": 20}})
    environment = {**os.environ, "WEBSITE_RESERVATION_TOKEN": TOKENS["web"], "no_proxy": "*"}
    assert len(CALLS) == PAGE.count("\ncurl ")
    with served(engine, real_clock) as url:
        for call, status in CALLS:
            shell = (
                f'API={url}\nAUTH="Authorization: Bearer $WEBSITE_RESERVATION_TOKEN"\n{call} -s -w "\\n%{{http_code}}"'
            )
            done = subprocess.run(["bash", "-c", shell], env=environment, capture_output=True, text=True, check=True)
            assert done.stdout.splitlines()[-1] == status, f"{call}\n{done.stdout}"


def test_the_command_serves_the_channels_that_ask(engine: Engine, database_url: str, tmp_path: Path) -> None:
    business(engine, stock_at={"A": {"main": 5}}, channels={"website": ("main",)})
    lines = [f"{name} = {value!r}" for name, value in SHOP.items()]
    lines += ["asks_first = true", 'reservation_token_env = ["NEW_TOKEN", "OLD_TOKEN"]']
    channels = tmp_path / "channels.toml"
    channels.write_text("\n".join(["[[channel]]", *lines]))
    environment = {
        **os.environ,
        "ONHAND_DATABASE_URL": database_url,
        "ONHAND_CHANNELS_FILE": str(channels),
        "ONHAND_DATA_DIR": str(tmp_path / "data"),
        "ONHAND_RESERVATION_LONGEST_TTL_SECONDS": "60",
        "NEW_TOKEN": "n" * 32,
        "OLD_TOKEN": "o" * 32,
    }
    port = _free_port()
    command = [sys.executable, "-m", "onhand", "reservations", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
            _wait(client, process)
            body = {"key": "k", "lines": [{"sku": "A", "quantity": 1}]}
            for token, status in (("n" * 32, 201), ("o" * 32, 200), ("x" * 32, 401)):
                answer = client.post("/v1/reservations", json=body, headers={"authorization": f"Bearer {token}"})
                assert answer.status_code == status
            document = client.get("/openapi.json").json()
            [ttl, _] = document["components"]["schemas"]["Ask"]["properties"]["ttl_seconds"]["anyOf"]
            assert ttl["maximum"] == 60
        process.terminate()
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert f"website may ask at http://127.0.0.1:{port}/v1/reservations" in output
    assert not any(letter * 32 in output for letter in "nox"), "no token is ever shown"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "no channel of the channels file"),
        ({"reservation_token_env": "T"}, "website has reservation_token_env but not asks_first"),
        ({"reservation_token_env": "T", "asks_first": True}, "T holds no usable token"),
    ],
)
def test_what_is_missing_is_told_before_serving(more: dict[str, object], said: str) -> None:
    config = WooCommerceConfig.model_validate({**SHOP, **more})
    with pytest.raises(TokenError, match=said):
        tokens_from({"website": config}, lambda name: SecretStr("short"))


def _free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait(client: httpx.Client, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 180
    while True:
        try:
            assert client.get("/health").status_code == 200
            return
        except httpx.TransportError:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
