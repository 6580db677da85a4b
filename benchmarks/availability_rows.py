"""What is sellable of 100,000 SKUs at 3 locations, and what each of their listings on 5 channels may show.

Every twentieth SKU is a bundle of two others. Beside it: the same numbers added up by pandas' groupby (available less
margins by channel and SKU, the least over the components of a bundle), which is no plan: nothing is divided
among channels, no exposure is counted. A pass is what the publisher does with 500 dirty SKUs, up to the gate.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import pandas as pd
from sqlalchemy import Connection, Engine, text

from benchmarks.figures import Result, Say
from benchmarks.ledger import laboratory, now, open_ledger
from inventory.ledger.ledger import plan_by_key
from inventory.publishing.availability import availability, load_market
from inventory.publishing.guidance import read_guidance
from inventory.publishing.publishing import plan

CHANNELS = {
    "one": ("north", "south", "east"),
    "two": ("north", "south"),
    "three": ("north",),
    "four": ("south", "east"),
    "five": ("north", "south", "east"),
}
PLACES = ("north", "south", "east")
BUNDLE = 20
PASS = 500
"""SKUs in one pass, as the publisher claims them."""
CHUNK = 5000
"""SKUs whose decomposition is read at once."""


def measure(quick: bool, say: Say) -> Result:
    skus, rounds, passes = (400, 1, 1) if quick else (100_000, 3, 20)
    result = Result()
    with laboratory() as lab:
        engine = open_ledger(lab.fresh())
        say(f"{skus:,} SKUs at {len(PLACES)} locations, {len(CHANNELS)} channels")
        fill(engine, skus)
        names = [f"A{number}" for number in range(skus)]
        plain, loading, pieces, passed = [], [], [], []
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            begun = time.perf_counter()
            numbers = Numbers.load(engine)
            loading.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            sums = numbers.sellable()
            plain.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            found = _decomposed(engine, names)
            pieces.append(time.perf_counter() - begun)
            _agree(found, sums, numbers)
        for number in range(passes):
            begun = time.perf_counter()
            planned = _pass(engine, [names[(number * PASS + one) % skus] for one in range(min(PASS, skus))])
            passed.append(time.perf_counter() - begun)
            assert planned >= min(PASS, skus) * len(CHANNELS), f"a pass planned {planned} listings only"
        engine.dispose()
    floor = [one + two for one, two in zip(plain, loading, strict=True)]
    what = f"{skus:,} SKUs × {len(PLACES)} locations"
    result.add(f"{what}: loaded and added up by pandas", "s", floor)
    result.add(f"{what} × {len(CHANNELS)} channels: added up by pandas, in memory already", "s", plain)
    result.add(
        f"{what}: each subtraction by itself (`inventory.publishing.availability`)", "s", pieces,
        beside="loaded and added up by pandas", floor=floor,
    )  # fmt: skip
    a_pass = median(floor) * min(PASS, skus) / skus
    result.add(
        f"a pass of {min(PASS, skus)} SKUs: numbers for {min(PASS, skus) * len(CHANNELS):,} listings and more that "
        "share with them, planned", "s", passed, beside="pandas, its share of these SKUs", floor=[a_pass],
    )  # fmt: skip
    whole = median(passed) * skus / PASS
    result.notes.append(
        f"All {skus * len(CHANNELS):,} listings planned in passes of {PASS} would take {whole:,.0f} s of one process: "
        "that is a first publication, or a change of policy for everything. Later only what has changed is planned."
    )
    return result


def fill(engine: Engine, skus: int) -> None:
    """Bundles are every twentieth SKU, of the two before it."""
    with engine.begin() as connection:
        _run(connection, "INSERT INTO item (sku, title, safety_stock, accuracy_margin) "
             "SELECT 'A' || n, '', n % 3, n % 2 FROM generate_series(0, :n - 1) AS n", n=skus)  # fmt: skip
        for place in PLACES:
            _run(connection, "INSERT INTO location (code, name, priority) VALUES (:place, '', 0)", place=place)
            for state, units in (("available", 40), ("reserved", 3), ("damaged", 1)):
                _run(
                    connection,
                    "INSERT INTO balance (sku, location, state, quantity) SELECT 'A' || n, :place, :state, "
                    "(n * 7 + :units) % :units FROM generate_series(0, :n - 1) AS n WHERE n % :bundle <> :bundle - 1",
                    place=place, state=state, units=units, n=skus, bundle=BUNDLE,
                )  # fmt: skip
        _run(
            connection,
            "INSERT INTO bundle_component (bundle_sku, component_sku, quantity) "
            "SELECT 'A' || n, 'A' || (n - part), part FROM generate_series(0, :n - 1) AS n, "
            "generate_series(1, 2) AS part WHERE n % :bundle = :bundle - 1",
            n=skus, bundle=BUNDLE,
        )  # fmt: skip
        for code, places in CHANNELS.items():
            _run(
                connection,
                "INSERT INTO channel (code, vendor, mode, write_mode, share, settle_seconds, in_doubt_seconds, "
                "overlap_seconds, pulled_at, watermark) "
                "VALUES (:code, 'memory', 'live', 'compare_and_set', 1, 60, 60, 60, :now, :now)",
                code=code, now=now(),
            )  # fmt: skip
            for place in places:
                _run(connection, "INSERT INTO channel_location (channel, location) VALUES (:code, :place)",
                     code=code, place=place)  # fmt: skip
            _run(
                connection,
                "INSERT INTO listing (channel, ref, sku, units_per_listing, tracked, exposure, observed, observed_at) "
                "SELECT :code, 'A' || n, 'A' || n, 1, true, 2, 2, :now FROM generate_series(0, :n - 1) AS n",
                code=code, n=skus, now=now(),
            )  # fmt: skip
    with engine.connect() as connection:
        _run(connection.execution_options(isolation_level="AUTOCOMMIT"),
             "VACUUM ANALYZE item, listing, balance, bundle_component")  # fmt: skip


def _run(connection: Connection, statement: str, **values: object) -> None:
    connection.execute(text(statement), values)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Everything in memory, as whoever uses pandas would have it."""

    balances: pd.DataFrame
    items: pd.DataFrame
    parts: pd.DataFrame

    @classmethod
    def load(cls, engine: Engine) -> "Numbers":
        with engine.connect() as connection:
            return cls(
                pd.read_sql(
                    text("SELECT sku, location, quantity FROM balance WHERE state = 'available' AND sku LIKE 'A%'"),
                    connection,
                ),
                pd.read_sql(
                    text("SELECT sku, accuracy_margin + safety_stock AS withheld FROM item WHERE sku LIKE 'A%'"),
                    connection,
                ),
                pd.read_sql(text("SELECT bundle_sku, component_sku, quantity FROM bundle_component"), connection),
            )

    def sellable(self) -> dict[str, pd.Series]:
        """{channel: sellable units by SKU, bundles among them}"""
        withheld = self.items.set_index("sku")["withheld"]
        found = {}
        for code, places in CHANNELS.items():
            here = self.balances[self.balances["location"].isin(places)]
            units = here.groupby("sku")["quantity"].sum().sub(withheld, fill_value=0).clip(lower=0)
            whole = self.parts["component_sku"].map(units).fillna(0) // self.parts["quantity"]
            made = whole.groupby(self.parts["bundle_sku"]).min()
            units.loc[made.index] = made
            found[code] = units
        return found


def _decomposed(engine: Engine, skus: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    with engine.connect() as connection:
        for start in range(0, len(skus), CHUNK):
            found |= {sku: one.sellable for sku, one in availability(connection, skus[start : start + CHUNK]).items()}
    return found


def _agree(found: dict[str, int], sums: dict[str, pd.Series], numbers: Numbers) -> None:
    """For a channel of all locations, of all that is no bundle."""
    single = sums["one"].drop(numbers.parts["bundle_sku"].unique())
    wrong = [sku for sku, units in single.items() if found[str(sku)] != units]
    assert not wrong, f"{len(wrong)} SKUs come out otherwise than by pandas: {wrong[:5]}"


def _pass(engine: Engine, skus: Sequence[str]) -> int:
    """Listings that were planned. Like a pass of the publisher up to the gate."""
    with engine.begin() as connection:
        plan_by_key(connection)
        guidance = read_guidance(connection, skus, now=now())
        live = {
            row.id: row.observed
            for row in connection.execute(
                text("SELECT id, observed FROM listing WHERE sku = ANY(:skus)"), {"skus": list(skus)}
            )
        }
        market = load_market(connection, skus, live, guidance)
        plan(market)
        return len(market.positions)
