"""Start every deployment once from the Prefect UI, as a person does: `make forms`, with Chromium installed.

Each form is opened in a real browser, filled with what `forms.py` says, and submitted; the run it makes is awaited, and
each artifact it leaves is opened. Takes some minutes: every run of a stock worker starts Python twice.
"""

import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from browser import BrowserError, Page, browser  # noqa: E402
from forms import FORMS, NOT_HERE, Values, prepare  # noqa: E402
from market_stage import NAMES, Market, open_market, until  # noqa: E402

WAIT_S = 240.0


def start(page: Page, market: Market, name: str, values: Mapping[str, Any]) -> str:
    """Fill the form and submit it; the id of the run it made. Raises BrowserError."""
    deployment = market.prefect("GET", f"/deployments/name/{name}")
    properties = deployment["parameter_openapi_schema"]["properties"]
    labels = {field: properties[field].get("title", field) for field in properties}
    before = runs_of(market, deployment["id"])
    page.open(f"{market.stack.ui_url}/v2/deployments/deployment/{deployment['id']}/run", "Submit", *labels.values())
    for field, value in values.items():
        page.give(labels[field], value)

    def begun() -> set[str]:
        return runs_of(market, deployment["id"]) - before

    # Prefect on SQLite refuses a call now and then when it is busy; the page stays as it was filled.
    for _ in range(3):
        page.click("Submit")
        if until(begun, 20) or not page.address().endswith("/run"):
            break
    if not until(begun, 20):
        raise BrowserError(f"the form made no run; it shows: {page.text()[:1500]}")
    return begun().pop()


def runs_of(market: Market, deployment: str) -> set[str]:
    wanted = {"flow_runs": {"deployment_id": {"any_": [deployment]}}}
    return {str(run["id"]) for run in market.prefect("POST", "/flow_runs/filter", wanted)}


def look_at_artifacts(page: Page, market: Market, run: str) -> int:
    """Open each artifact of the run; how many there are. Raises BrowserError when a page shows nothing of it."""
    wanted = {"artifacts": {"flow_run_id": {"any_": [run]}}}
    found = market.prefect("POST", "/artifacts/filter", wanted)
    for artifact in found:
        # The page shows Markdown as it is meant; up to the first sign of it the words are the same.
        description = re.split(r"[*`\[\n|#_]", (artifact["description"] or "").lstrip("# "))[0].strip()
        page.open(
            f"{market.stack.ui_url}/v2/artifacts/artifact/{artifact['id']}",
            *filter(None, [artifact["key"], description]),
        )
    return len(found)


def walk(page: Page, market: Market, wanted: Iterable[str]) -> list[str]:
    """Says what became of each; returns what went wrong."""
    bad = []
    for name in wanted:
        try:
            given = FORMS[name]
            values: Values = given(market) if callable(given) else given
            run = start(page, market, name, values)
            market.wait([run], WAIT_S)
            found = market.run(run)
            state = f"{found['state']['name']} {found['state'].get('message') or ''}".strip()
            artifacts = look_at_artifacts(page, market, run)
            line = f"{name}: {state[:300]}, {artifacts} artifacts"
            if found["state"]["type"] != "COMPLETED":
                bad.append(line)
        except BrowserError as error:
            line = f"{name}: {' '.join(str(error).split())[:600]}"
            bad.append(line)
        print(line, flush=True)
    return bad


def main(chosen: list[str]) -> int:
    left_out = NAMES - set(FORMS) - NOT_HERE
    with tempfile.TemporaryDirectory(prefix="onhand-forms-") as folder, open_market(Path(folder)) as market:
        prepare(market)
        forms = [name for name in FORMS if not chosen or name in chosen]
        with browser() as page:
            bad = walk(page, market, forms)
    print(
        f"{len(forms) - len(bad)} of {len(forms)} deployments ran; without a form here: {', '.join(sorted(left_out))}"
    )
    print("\n".join(["went wrong:", *bad] if bad else ["none went wrong"]))
    return 1 if bad or left_out else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
