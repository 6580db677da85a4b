"""The Prefect UI of a running stack in a real browser: what a person finds there, and that the form works."""

from collections.abc import Iterator

import pytest
from browser import Page, browser, program
from market_stage import NAMES, Market, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(program() is None, reason="Chromium is not installed (Debian: apt-get install chromium)"),
]

FORM = {
    "Channel": "Code of the channel, as in channels.toml",
    "Go on for (minutes)": "0: once, then stop",
    "Every (seconds)": "From the start of one pass to the next",
    "Approved by": "Your name, if you have seen a batch that the gate blocks",
}


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser() as page:
        yield page


@pytest.fixture
def ui(market: Market) -> str:
    return f"{market.stack.ui_url}/v2"


def open_form(page: Page, ui: str, market: Market) -> str:
    """Open the form of pull_channel/shopify; returns the deployment's id."""
    deployment = str(market.prefect("GET", "/deployments/name/pull_channel/shopify")["id"])
    page.open(f"{ui}/deployments/deployment/{deployment}/run", *FORM, "Submit")
    return deployment


def runs_of(market: Market, deployment: str) -> list[dict[str, object]]:
    wanted = {"flow_runs": {"deployment_id": {"any_": [deployment]}}}
    return list(market.prefect("POST", "/flow_runs/filter", wanted))


def test_the_address_of_the_stack_is_the_dashboard(page: Page, market: Market) -> None:
    page.open(market.stack.ui_url, "Dashboard", "Deployments")


def test_all_deployments_are_listed(page: Page, ui: str, market: Market) -> None:
    flows_and_names = {part for name in NAMES for part in name.split("/")}
    shown = page.open(f"{ui}/deployments?limit=100", f"{len(NAMES)} Deployments", *flows_and_names)
    assert "Not Ready" not in shown


def test_the_description_is_shown(page: Page, ui: str, market: Market) -> None:
    deployment = market.prefect("GET", "/deployments/name/pull_channel/shopify")
    page.open(f"{ui}/deployments/deployment/{deployment['id']}?tab=Description", deployment["description"])


def test_the_form_says_what_each_field_means(page: Page, ui: str, market: Market) -> None:
    open_form(page, ui, market)
    page.see(*FORM, *FORM.values())


def test_the_form_refuses_nonsense(page: Page, ui: str, market: Market) -> None:
    deployment = open_form(page, ui, market)
    before = len(runs_of(market, deployment))
    page.fill("Go on for (minutes)", "-5")
    page.click("Submit")
    assert page.script("document.querySelector('input:invalid').validationMessage")
    assert page.address().endswith("/run")
    assert len(runs_of(market, deployment)) == before


def test_a_run_is_started_by_the_form_and_shows_its_table(page: Page, ui: str, market: Market) -> None:
    deployment = open_form(page, ui, market)
    page.fill("Go on for (minutes)", "0")
    page.fill("Approved by", "Wanda")

    def started() -> list[str]:
        return [str(run["id"]) for run in runs_of(market, deployment) if "Wanda" in str(run["parameters"])]

    # Prefect on SQLite refuses a call now and then when it is busy (503). The page says so and stays the form, filled
    # as it was; a person presses the button again.
    for _ in range(3):
        page.click("Submit")
        if until(started, 60) or not page.address().endswith("/run"):
            break
    assert until(started, 60), f"{page.address()} shows: {page.text()[:2000]}"
    (run,) = started()
    assert market.wait([run]) == {run: "COMPLETED"}
    found = market.run(run)
    assert found["parameters"] == {"channel": "shopify", "minutes": 0, "every_seconds": 60, "approved_by": "Wanda"}

    page.open(f"{ui}/runs/flow-run/{run}?tab=Artifacts", found["name"], "Completed", "pull-shopify")
    page.open(
        f"{ui}/artifacts/artifact/{artifact_of(market, run)}", "documents", "new orders", "units held", "held back"
    )


def artifact_of(market: Market, run: str) -> str:
    wanted = {"artifacts": {"flow_run_id": {"any_": [run]}}}
    (artifact,) = market.prefect("POST", "/artifacts/filter", wanted)
    return str(artifact["id"])
