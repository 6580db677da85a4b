"""Credential blocks on a real Prefect server: registered twice, saved as the UI saves them, never shown in clear."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
SECRET = "shpat_very_secret"
READER = """
import sys
from tasks.credentials import register_blocks
from tasks.named_secrets import named_secret
if sys.argv[1] == "register":
    print(register_blocks() == register_blocks())
else:
    for name in sys.argv[1:]:
        print(named_secret(name).get_secret_value(), flush=True)
"""
TWICE = """
from onhand.deploying import main
for _ in range(2):
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}/api"
    with (home / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--no-services"], env=environment(home, url), stdout=log, stderr=log, cwd=ROOT
        )
        try:
            wait_for(f"{url}/health", process)
            yield url
        finally:
            process.terminate()
            process.wait(60)


def environment(home: Path, url: str) -> dict[str, str]:
    from onhand.children import environment as of_children

    return of_children(home, "postgresql://nobody@127.0.0.1:1/nowhere", url, "WARNING")


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(url, trust_env=False, timeout=10).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise AssertionError("the server did not start")


def in_a_process(home: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", READER, *arguments],
        env=environment(home, url), cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_a_block_is_saved_by_its_form_read_by_its_name_and_masked_by_the_api(server: str, tmp_path: Path) -> None:
    registered = in_a_process(tmp_path, server, "register")
    assert registered.stdout.strip() == "True", registered.stderr
    with httpx.Client(base_url=server, trust_env=False, timeout=30) as api:
        kind = api.get("/block_types/slug/onhand-shopify").json()
        assert kind["name"] == "onhand Shopify" and kind["description"]
        schemas = api.post("/block_schemas/filter", json={"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}})
        (schema,) = schemas.json()
        assert set(schema["fields"]["secret_fields"]) == {"access_token", "client_secret"}
        assert schema["fields"]["properties"]["access_token"]["title"] == "Admin API access token"
        body = {
            "name": "main", "data": {"access_token": SECRET}, "block_type_id": kind["id"],
            "block_schema_id": schema["id"],
        }  # fmt: skip
        saved = api.post("/block_documents/", json=body)
        assert saved.status_code == httpx.codes.CREATED
        document = saved.json()["id"]
        answers = [
            saved.text,
            api.get(f"/block_documents/{document}").text,
            api.post("/block_documents/filter", json={}).text,
            api.get("/block_types/slug/onhand-shopify/block_documents/name/main").text,
        ]
        assert all("main" in answer and SECRET not in answer for answer in answers)

    names = [f"block:onhand-shopify/{name}.access_token" for name in ("main", "other")]
    read = in_a_process(tmp_path, server, *names)
    assert read.stdout.strip() == SECRET, read.stderr
    assert read.returncode and "there is no block onhand-shopify/other" in read.stderr
    assert SECRET not in read.stderr


def test_deploying_registers_forms_and_deployments(server: str, tmp_path: Path) -> None:
    with httpx.Client(base_url=server, trust_env=False, timeout=30) as api:
        pool = {"name": "onhand", "type": "process", "base_job_template": {}}
        assert api.post("/work_pools/", json=pool).status_code in (httpx.codes.CREATED, httpx.codes.CONFLICT)
        done = subprocess.run(
            [sys.executable, "-c", TWICE],
            env=environment(tmp_path, server), cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        slugs = {one["slug"] for one in api.post("/block_types/filter", json={"limit": 200}).json()}
        assert {"onhand-shopify", "onhand-amazon", "onhand-http"} <= slugs
        names = {one["name"] for one in api.post("/deployments/filter", json={}).json()}
        assert {"opening-stock", "channel-mode", "all-channels"} <= names
