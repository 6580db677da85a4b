"""`prefect.yaml`, of which Prefect ignores in silence what it does not know, and the forms of the flows."""

import importlib
import inspect
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from jsonschema import Draft202012Validator
from prefect import Flow
from prefect import __version__ as installed
from prefect.cli.deploy._models import (
    ConcurrencyLimitSpec,
    DeploymentConfig,
    PrefectYamlModel,
    RawScheduleConfig,
    WorkPoolConfig,
)
from prefect.client.schemas.schedules import CronSchedule
from pydantic import BaseModel

from onhand.children import WORK_POOL
from onhand.trading_day.stage_channels import CHANNELS

ROOT = Path(__file__).resolve().parents[2]
REGISTRY: dict[str, Any] = yaml.safe_load((ROOT / "prefect.yaml").read_text())
DEPLOYMENTS: list[dict[str, Any]] = REGISTRY["deployments"]
NO_FLOWS = {"__init__", "forms"}
"""Modules of flows/ that hold what the flows share."""
FLOWS = sorted(path.stem for path in (ROOT / "flows").glob("*.py") if path.stem not in NO_FLOWS)


def name_of(deployment: dict[str, Any]) -> str:
    return f"{deployment['entrypoint'].split(':')[-1]}/{deployment['name']}"


each_deployment = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name_of)
each_flow = pytest.mark.parametrize("name", FLOWS)


def known(*models: type[BaseModel]) -> set[str]:
    return {field.alias or name for model in models for name, field in model.model_fields.items()}


def unknown_keys(registry: dict[str, Any]) -> list[str]:
    """Every key that Prefect would read over, with its place."""
    found = [key for key in registry if key not in known(PrefectYamlModel) | {"definitions"}]
    for deployment in registry["deployments"]:
        place = str(deployment.get("name"))
        found += [f"{place}.{key}" for key in deployment if key not in known(DeploymentConfig)]
        found += [
            f"{place}.work_pool.{key}" for key in deployment.get("work_pool", {}) if key not in known(WorkPoolConfig)
        ]
        for schedule in deployment.get("schedules", []):
            found += [f"{place}.schedules.{key}" for key in schedule if key not in known(RawScheduleConfig)]
        limit = deployment.get("concurrency_limit")
        if isinstance(limit, dict):
            found += [f"{place}.concurrency_limit.{key}" for key in limit if key not in known(ConcurrencyLimitSpec)]
    return found


def flow_of(name: str) -> Flow[..., Any]:
    found = getattr(importlib.import_module(f"flows.{name}"), name)
    assert isinstance(found, Flow)
    return found


def schema_of(name: str) -> dict[str, Any]:
    """The form of a flow, as it is stored at the deployment and held against every run's parameters."""
    return flow_of(name).parameters.model_dump_for_openapi()


def errors(name: str, parameters: dict[str, Any]) -> list[str]:
    schema = schema_of(name) | {"additionalProperties": False}
    return [error.message for error in Draft202012Validator(schema).iter_errors(parameters)]


def test_every_key_is_known() -> None:
    PrefectYamlModel.model_validate(REGISTRY)
    assert unknown_keys(REGISTRY) == []


def test_the_check_of_keys_sees_a_slip() -> None:
    slip = {
        "deploymnets": [],
        "deployments": [
            {"name": "a", "concurency_limit": 1, "work_pool": {"queue": "b"}, "schedules": [{"crom": "", "slug": "x"}]}
        ],
    }
    assert unknown_keys(slip) == ["deploymnets", "a.concurency_limit", "a.work_pool.queue", "a.schedules.crom"]


def test_the_version_named_is_the_one_installed() -> None:
    assert REGISTRY["prefect-version"] == installed


@each_deployment
def test_the_entrypoint_is_a_flow_with_its_files_name(deployment: dict[str, Any]) -> None:
    path, _, function = deployment["entrypoint"].partition(":")
    assert (ROOT / path).is_file()
    assert Path(path) == Path("flows") / f"{function}.py"
    assert flow_of(function).name == function
    assert function in FLOWS


@each_deployment
def test_the_parameters_fit_the_form(deployment: dict[str, Any]) -> None:
    function = deployment["entrypoint"].split(":")[-1]
    parameters = deployment.get("parameters", {})
    inspect.signature(flow_of(function).fn).bind_partial(**parameters)
    if "on-demand" not in deployment["tags"]:
        assert errors(function, parameters) == []
        # As in a run: pydantic's own rules, too.
        flow_of(function).validate_parameters(parameters)
    for schedule in deployment.get("schedules", []):
        assert errors(function, parameters | schedule.get("parameters", {})) == []
    assert deployment.get("enforce_parameter_schema", True) is True


@each_deployment
def test_the_deployment_can_be_found_and_understood(deployment: dict[str, Any]) -> None:
    assert len(deployment["description"]) > 20
    assert deployment["tags"]
    assert deployment["work_pool"]["name"] == WORK_POOL


@each_deployment
def test_every_schedule_has_slug_and_time_zone(deployment: dict[str, Any]) -> None:
    schedules = deployment["schedules"]
    assert bool(schedules) is ("on-demand" not in deployment["tags"])
    for schedule in schedules:
        RawScheduleConfig.model_validate(schedule)
        CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
        ZoneInfo(schedule["timezone"])
        assert schedule["slug"]
    slugs = [schedule["slug"] for schedule in schedules]
    assert len(set(slugs)) == len(slugs), "Prefect tells schedules apart by their slugs"


def test_names_are_unique() -> None:
    names = [name_of(deployment) for deployment in DEPLOYMENTS]
    assert len(set(names)) == len(names)


@each_flow
def test_every_flow_is_deployed(name: str) -> None:
    assert name in {deployment["entrypoint"].split(":")[-1] for deployment in DEPLOYMENTS}


def test_every_channel_of_the_stage_is_pulled_and_reconciled() -> None:
    parameters = {name_of(deployment): deployment.get("parameters", {}) for deployment in DEPLOYMENTS}
    assert {given["channel"] for name, given in parameters.items() if name.startswith("pull_channel/")} == set(CHANNELS)
    assert set(parameters["reconcile/quantities"]["channels"]) == set(CHANNELS)


# Forms


@each_flow
def test_every_field_has_label_help_and_bounds(name: str) -> None:
    schema = schema_of(name)
    assert schema["properties"]
    for parameter, field in schema["properties"].items():
        assert field["title"] != parameter, f"{parameter} has no label of its own"
        assert field["description"]
        assert_bounded(parameter, field)
    assert inspect.getdoc(flow_of(name).fn), "the text above the form"


def assert_bounded(parameter: str, field: dict[str, Any]) -> None:
    match field.get("type"):
        case "number" | "integer":
            assert {"minimum", "exclusiveMinimum"} & set(field), parameter
            assert {"maximum", "exclusiveMaximum"} & set(field), parameter
        case "string":
            assert {"pattern", "maxLength", "enum", "format"} & set(field), parameter
        case "array":
            assert "maxItems" in field, parameter
            assert_bounded(parameter, field["items"])
        case "boolean":
            pass
        case other:
            raise AssertionError(f"{parameter}: no form for {other}")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("pull_channel", {}),
        ("pull_channel", {"channel": "Shopify; DROP"}),
        ("pull_channel", {"channel": "shopify", "minutes": -1}),
        ("pull_channel", {"channel": "shopify", "minutes": "soon"}),
        ("pull_channel", {"channel": "shopify", "every_seconds": 0}),
        ("pull_channel", {"channel": "shopify", "approved_by": "x" * 81}),
        ("pull_channel", {"channel": "shopify", "chanel": "shopify"}),
        ("publish_availability", {"limit": 0}),
        ("publish_availability", {"limit": 1.5}),
        ("publish_availability", {"limit": 5001}),
        ("expire_reservations", {"minutes": 1441}),
        ("reconcile", {"channels": []}),
        ("reconcile", {"channels": ["shopify", ""]}),
        ("reconcile", {"channels": ["shopify"], "stale_after": 0}),
        ("reconcile", {"channels": ["shopify"], "heal": "perhaps"}),
        ("reconcile", {"channels": ["shopify"], "scope": "all"}),
        ("reconcile", {"channels": ["shopify"], "size": 0}),
        ("reconcile", {"channels": ["shopify"], "days": 61}),
        ("reconcile", {"channels": ["shopify"], "taken_at": "x" * 41}),
        ("resolve_discrepancy", {"number": 0, "actor": "Wanda", "reason": "looked"}),
        ("resolve_discrepancy", {"number": 1, "actor": "", "reason": "looked"}),
        ("resolve_discrepancy", {"number": 1, "actor": "Wanda", "reason": "x"}),
        ("set_channel_mode", {"channel": "shopify", "mode": "on", "actor": "Wanda", "reason": "ready"}),
        ("set_channel_mode", {"channel": "shopify", "mode": "live", "actor": " ", "reason": "ready"}),
        ("set_channel_mode", {"channel": "shopify", "mode": "live", "actor": "Wanda"}),
        ("preview_publication", {"channel": "Shop!"}),
        ("audit_catalogue", {"channel": "a b"}),
        ("audit_integrations", {"chanel": ""}),
        ("import_listings", {"channel": ""}),
        ("import_items", {"items": "x" * 500_001}),
        ("schedule_cycle_counts", {"lines_a_day": 0}),
        ("schedule_cycle_counts", {"lines_by_location": ["main=0"]}),
        ("schedule_cycle_counts", {"working_days": []}),
        ("schedule_cycle_counts", {"working_days": ["monday"]}),
        ("schedule_cycle_counts", {"skus": [""]}),
        ("record_counts", {"csv": "sheet,line,quantity", "counter": " "}),
        ("record_counts", {"csv": "sheet,line,quantity", "counter": "Wanda", "band_share": 101}),
        ("record_counts", {"csv": "sheet,line,quantity", "counter": "Wanda", "minutes_ago": -1}),
        ("approve_counts", {"actor": "Petra", "reason": "so", "numbers": [1]}),
        ("approve_counts", {"actor": "Petra", "reason": "seen", "numbers": [0]}),
        ("approve_counts", {"actor": "Petra", "reason": "seen", "decision": "maybe"}),
        ("watchdog", {"every_seconds": 0}),
        ("send_alerts", {"look": "perhaps"}),
        ("close_incident", {"kind": "moon_phase", "subject": "SKU-1", "actor": "Wanda", "reason": "counted"}),
        ("close_incident", {"kind": "oversold", "subject": " ", "actor": "Wanda", "reason": "counted"}),
        ("close_incident", {"kind": "oversold", "subject": "SKU-1", "actor": "", "reason": "counted"}),
        ("close_incident", {"kind": "oversold", "subject": "SKU-1", "actor": "Wanda"}),
        ("open_balances", {"csv": "", "actor": "Wanda"}),
        ("open_balances", {"csv": "sku,location,quantity", "actor": ""}),
        ("open_balances", {"csv": "sku,location,quantity", "actor": "Wanda", "reference": "../x"}),
    ],
)
def test_the_form_refuses_nonsense(name: str, parameters: dict[str, Any]) -> None:
    assert errors(name, parameters)


@each_flow
def test_no_form_asks_for_a_secret(name: str) -> None:
    """Prefect stores parameters in clear."""
    words = ("token", "secret", "password", "key")
    assert [field for field in schema_of(name)["properties"] if any(word in field for word in words)] == []
