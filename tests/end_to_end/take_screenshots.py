"""The pictures of the Prefect UI in docs/images: `make screenshots`, with Chromium installed.

A stack of its own, with the shops of `onhand up`; some orders are placed, every deployment runs once, and
the pages are photographed as they are then.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from browser import Page, browser  # noqa: E402
from market_stage import NAMES, Market, open_market  # noqa: E402
from report_pictures import photograph_reports  # noqa: E402
from slack_pictures import photograph_alerts  # noqa: E402

from onhand.up import some_stock  # noqa: E402

IMAGES = ROOT / "docs" / "images"
LARGEST = 300_000
"""Bytes of a picture that a README may hold."""


def trade(market: Market, skus: list[str]) -> dict[str, str]:
    """A while of trade; {deployment: its last run}."""
    chance = random.Random(3)
    shifts = {
        "publish": market.start("publish_availability/all-channels", {"minutes": 1}),
        **{code: market.start(f"pull_channel/{code}", {"minutes": 1, "every_seconds": 5}) for code in market.urls},
    }
    end = time.monotonic() + 55
    while time.monotonic() < end:
        lines = [(sku, chance.randint(1, 6)) for sku in chance.sample(skus, chance.randint(1, 4))]
        market.buy(chance.choice(list(market.urls)), *lines)
        time.sleep(0.7)
    market.wait(shifts.values())
    last = {
        "holds": market.start("expire_reservations/holds", {"minutes": 0}),
        "reconcile": market.start("reconcile/quantities", {"channels": list(market.urls)}),
        "again": market.start("pull_channel/shopify", {"minutes": 0}),
        "publish": market.start("publish_availability/all-channels", {"minutes": 0}),
    }
    ended = market.wait(last.values())
    assert set(ended.values()) == {"COMPLETED"}, ended
    return {**shifts, **last}


def photograph(page: Page, market: Market, runs: dict[str, str]) -> None:
    ui = f"{market.stack.ui_url}/v2"
    page.open(f"{ui}/deployments?limit=100", f"{len(NAMES)} Deployments", "all-channels", "website")
    keep("prefect-deployments", page.picture(620))

    page.open(f"{ui}/runs", "Flow runs", "reconcile-shopify-website")
    keep("prefect-runs", page.picture(1560))

    deployment = market.prefect("GET", "/deployments/name/pull_channel/shopify")["id"]
    page.open(f"{ui}/deployments/deployment/{deployment}/run", "Approved by", "Submit")
    page.fill("Go on for (minutes)", "0")
    page.fill("Approved by", "Wanda")
    keep("prefect-form", page.picture(1060))

    wanted = {"artifacts": {"flow_run_id": {"any_": [runs["shopify"]]}}, "sort": "UPDATED_DESC"}
    newest = market.prefect("POST", "/artifacts/filter", wanted)[0]["id"]
    page.open(f"{ui}/artifacts/artifact/{newest}", "new orders", "units held")
    keep("prefect-artifact", page.picture(760))


def keep(name: str, picture: bytes) -> None:
    file = IMAGES / f"{name}.png"
    if len(picture) >= LARGEST:
        raise SystemExit(f"{file.name} would have {len(picture):,} bytes, more than {LARGEST:,}")
    file.write_bytes(picture)
    print(f"{file.relative_to(ROOT)}: {len(picture):,} bytes")


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    units = some_stock()
    with tempfile.TemporaryDirectory(prefix="onhand-pictures-") as folder, open_market(Path(folder), units) as market:
        for deployment in market.api.deployments():
            for schedule in deployment["schedules"]:
                path = f"/deployments/{deployment['id']}/schedules/{schedule['id']}"
                market.prefect("PATCH", path, {"active": True})
        runs = trade(market, sorted(units))
        with browser() as page:
            photograph(page, market, runs)
            for name, picture in (photograph_alerts(page) | photograph_reports(page)).items():
                keep(name, picture)


if __name__ == "__main__":
    main()
