"""The files of a production installation: each command, option and variable in them exists, and no secret is there.

What Docker, Helm and Kubernetes make of them is not tried here.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from adapters.settings import PREFIX, Settings
from onhand.command_line import app

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
HELM = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((DEPLOY / "helm").glob("*.yaml"))}
OBJECTS = list(yaml.safe_load_all((DEPLOY / "kubernetes" / "onhand.yaml").read_text()))
PODS = {
    one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in OBJECTS if one["kind"] in ("Deployment", "Job")
}
OURS: dict[str, Any] = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
OTHERS = {"PREFECT_REDIS_MESSAGING_URL": "prefect-redis", "POSTGRES_USER": "", "POSTGRES_DB": "",
          "POSTGRES_PASSWORD_FILE": "", "DO_NOT_TRACK": "", "GX_ANALYTICS_ENABLED": "", "PYTHONUNBUFFERED": "",
          "PATH": "", "PIP_DISABLE_PIP_VERSION_CHECK": "", "PIP_NO_CACHE_DIR": ""}  # fmt: skip
"""Variables of neither onhand nor Prefect, and who reads them where it is not plain."""


def words_of(command: Any) -> list[list[str]]:
    """The commands that one entry runs, as words; a shell's line is cut at its `&&`."""
    words = [str(word) for word in command]
    if words[:2] == ["sh", "-c"]:
        return [part.split() for part in words[2].split("&&")]
    return [words]


COMMANDS = [
    *((f"compose {name}", words) for name, one in SERVICES.items() for words in words_of(one.get("command", []))),
    *((f"kubernetes {name}", words) for name, pod in PODS.items() for words in words_of(pod["containers"][0]["args"])),
]


def variables() -> Iterator[tuple[str, str, str]]:
    """(where, name, value)"""
    for name, one in SERVICES.items():
        yield from ((f"compose {name}", key, str(value)) for key, value in one.get("environment", {}).items())
        yield from ((f"compose {name}", key, "") for key in one.get("secrets", []) if key.isupper())
    for name, pod in PODS.items():
        for container in pod["containers"]:
            yield from ((f"kubernetes {name}", one["name"], str(one["value"])) for one in container.get("env", []))
    server, worker = HELM["prefect-server"], HELM["prefect-worker"]
    for where, given in (
        ("helm server", server["global"]["prefect"]["env"]),
        ("helm worker", worker["worker"]["extraEnvVars"]),
    ):
        yield from ((where, one["name"], str(one["value"])) for one in given)
    for line in re.findall(r"^ENV (.*(?:\\\n.*)*)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE):
        for key, value in re.findall(r"([A-Z_]+)=(\S+)", line):
            yield "Dockerfile", key, value


@cache
def prefect_settings() -> frozenset[str]:
    from prefect.settings import Settings as PrefectSettings
    from prefect.settings.legacy import _get_settings_fields

    return frozenset(_get_settings_fields(PrefectSettings))


@pytest.mark.parametrize(("where", "name", "value"), sorted(set(variables())))
def test_every_variable_is_read_by_somebody_and_holds_no_secret(where: str, name: str, value: str) -> None:
    if name.startswith(PREFIX):
        assert name.removeprefix(PREFIX).lower() in Settings.model_fields, where
    elif name.startswith("PREFECT_") and name not in OTHERS:
        assert name in prefect_settings(), where
    else:
        assert name in OTHERS, where
    assert "://" not in value or "@" not in value, "an address with a password"
    if re.search(r"PASSWORD|TOKEN|SECRET|AUTH_STRING|DATABASE_URL|CONNECTION_URL|WEBHOOK_URL", name):
        assert value in ("", "/run/secrets/postgres_password")


@pytest.mark.parametrize(("where", "words"), [one for one in COMMANDS if one[1][:1] == ["onhand"]])
def test_every_command_of_ours_exists_with_its_options(where: str, words: list[str]) -> None:
    command = OURS[words[1]]
    command.make_context(words[1], words[2:])


@pytest.mark.parametrize(("where", "words"), [one for one in COMMANDS if one[1][:1] == ["prefect"]])
def test_every_command_of_prefect_exists_with_its_options(where: str, words: list[str]) -> None:
    from prefect.cli.server import server_app
    from prefect.cli.work_pool import work_pool_app
    from prefect.cli.worker import worker_app

    apps = {"server": server_app, "worker": worker_app, "work-pool": work_pool_app}
    _, bound, _ = apps[words[1]].parse_args(words[2:], exit_on_error=False, print_error=False)
    assert bound is not None


def test_every_other_command_is_a_known_program() -> None:
    first = {words[0] for _, words in COMMANDS if words}
    assert first - {"onhand", "prefect", "postgres", "redis-server", "python"} == set()
    assert {tuple(words) for _, words in COMMANDS if words[:1] == ["python"]} == {("python", "-m", "onhand.deploying")}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_of_compose_is_whole(name: str) -> None:
    one = SERVICES[name]
    image, tag = one["image"].rsplit(":", 1)
    assert image and tag != "latest" and re.match(r"\d", tag)
    assert set(one.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert set(one.get("depends_on", {})) <= set(SERVICES)
    for other, how in one.get("depends_on", {}).items():
        waited = how["condition"]
        assert waited != "service_healthy" or "healthcheck" in SERVICES[other], f"{other} never says that it is healthy"
        assert waited != "service_completed_successfully" or SERVICES[other]["restart"] == "no"
    for mount in one.get("volumes", []):
        source = mount.split(":")[0]
        assert source in COMPOSE["volumes"] if source[0] != "." else source == "./config" or (DEPLOY / source).exists()
    if image == "onhand":
        assert one["cap_drop"] == ["ALL"] and one["read_only"]
        assert any("ONHAND_" in key for key in one["environment"]) == ("ONHAND_DATABASE_URL" in one["secrets"])


def test_what_there_may_be_several_of_there_are_two_of() -> None:
    twice = {name for name, one in SERVICES.items() if one.get("deploy", {}).get("replicas") == 2}
    assert twice == {"prefect-server", "prefect-services", "worker", "intake", "reservations"}
    servers = [one for one in SERVICES.values() if "prefect_redis.messaging" in one.get("environment", {}).values()]
    assert len(servers) == 3 and all(one["environment"] | {} for one in servers)
    assert "--no-services" in SERVICES["prefect-server"]["command"]


def test_the_balancer_knows_each_service_by_its_port() -> None:
    behind = re.findall(r"server-template \S+ \d+ ([a-z-]+):(\d+) check", (DEPLOY / "haproxy.cfg").read_text())
    assert {name for name, _ in behind} == {"prefect-server", "intake", "reservations"}
    for name, port in behind:
        assert SERVICES[name]["command"][-1] == port and port in str(SERVICES[name]["healthcheck"]["test"])
    published = {one.split(":")[0] for one in SERVICES["balancer"]["ports"]}
    assert published == {"127.0.0.1"}, "nothing is open to the network by itself"
    assert [name for name, one in SERVICES.items() if "ports" in one] == ["balancer"]


@pytest.mark.parametrize("name", sorted(PODS))
def test_every_pod_is_hardened_and_whole(name: str) -> None:
    pod = PODS[name]
    for container in pod["containers"]:
        secure = container["securityContext"]
        assert secure["runAsNonRoot"] and secure["readOnlyRootFilesystem"] and not secure["allowPrivilegeEscalation"]
        assert not container["image"].endswith(":latest") and ":" in container["image"]
        mounted = {one["name"] for one in container.get("volumeMounts", [])}
        assert mounted <= {one["name"] for one in pod.get("volumes", [])}
        port = container.get("ports", [{}])[0].get("containerPort")
        assert port is None or (
            str(port) in container["args"] and container["readinessProbe"]["httpGet"]["port"] == port
        )


def test_every_selector_selects_something() -> None:
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in OBJECTS if one["kind"] == "Deployment"]
    for one in OBJECTS:
        if one["kind"] in ("Service", "PodDisruptionBudget"):
            selector = one["spec"]["selector"]
            assert selector.get("matchLabels", selector) in labels


def test_the_charts_take_our_image_and_a_database_of_ones_own() -> None:
    server, worker = HELM["prefect-server"], HELM["prefect-worker"]["worker"]
    images = [server["global"]["prefect"]["image"], worker["image"]]
    assert {(one["repository"], one["prefectTag"]) for one in images} == {("registry.example.com/onhand", "0.1.0")}
    assert not server["postgresql"]["enabled"] and not server["redis"]["enabled"] and not server["secret"]["create"]
    assert worker["config"]["workPool"] == "onhand" and worker["config"]["type"] == "process"
    assert server["backgroundServices"]["runAsSeparateDeployment"] and server["server"]["replicaCount"] == 2


def test_the_image_is_locked_compiled_and_not_roots() -> None:
    lines = (DEPLOY / "Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+)", lines, re.MULTILINE)
    assert stages and not any(one.endswith(":latest") or ":" not in one for one in stages)
    assert re.findall(r"^USER (\S+)", lines, re.MULTILINE)[-1] == "onhand"
    assert "--require-hashes" in lines and "--compile" in lines and "compileall" in lines
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "**" in ignored and "deploy/secrets" in ignored and not {"!.env", "!channels.toml", "!.git"} & set(ignored)
    package = re.findall(r"^([a-z-]+)==", (DEPLOY / "redis.lock").read_text(), re.MULTILINE)
    assert package == ["prefect-redis"] and "prefect-redis" not in (ROOT / "requirements.lock").read_text()


def test_a_secrets_file_becomes_a_variable_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "ONHAND_DATABASE_URL").write_text("postgresql://a:b c$d'e\"@h/l\n")
    (tmp_path / "postgres_password").write_text("stays a file")
    shown = subprocess.run(
        [str(DEPLOY / "entrypoint.sh"), "sh", "-c", 'printf %s "$ONHAND_DATABASE_URL"; env | grep -c "stays a file"'],
        env={"PATH": os.environ["PATH"], "SECRETS_DIR": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shown.stdout.splitlines() == ["postgresql://a:b c$d'e\"@h/l" + "0"]
    empty = tmp_path / "empty"
    empty.mkdir()
    ran = subprocess.run(
        [str(DEPLOY / "entrypoint.sh"), "true"], env={"PATH": os.environ["PATH"], "SECRETS_DIR": str(empty)}
    )
    assert ran.returncode == 0
