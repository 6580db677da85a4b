"""The benchmarks run, audit what they measured, and write what they say they write. Nothing here is timed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from benchmarks.audit import Violation, audit, audit_floor
from benchmarks.ledger import laboratory, open_ledger

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_quick_run_measures_everything_and_oversells_nothing(tmp_path: Path) -> None:
    output = tmp_path / "latest.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--output", str(output)],
        cwd=ROOT, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing was oversold" in " ".join(done.stdout.split())
    written = json.loads(output.read_text())
    assert {"cores", "load_before", "postgresql"} <= written["machine"].keys()
    assert written["machine"]["postgresql"]["fsync"] == "on"
    assert written["machine"]["postgresql"]["synchronous_commit"] == "on"
    for row in written["rows"]:
        assert row.keys() == {"name", "value", "unit", "floor", "ratio", "min", "max"}
        assert 0 < row["min"] <= row["value"] <= row["max"], row
    names = " ".join(row["name"] for row in written["rows"])
    for what in ("hot", "1 clients", "4 clients", "4 ms flush", "batched", "one transaction each", "page of", "expiry"):
        assert what in names


@pytest.mark.slow
def test_the_reservation_api_is_measured_and_audited() -> None:
    arguments = ["--rounds", "1", "--seconds", "0.2", "--clients", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.reservation_api", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for what in ("constant", "update", "hold and commit"):
        assert what in done.stdout


def test_the_audit_sees_a_broken_promise() -> None:
    with laboratory() as lab:
        engine = open_ledger(lab.fresh())
        audit(engine, held=0, units=0)
        audit_floor(engine, 0)
        with pytest.raises(Violation, match="accepted answers"):
            audit(engine, held=1)
        with pytest.raises(Violation, match="floor"):
            audit_floor(engine, 1)
        with engine.begin() as connection:
            connection.execute(text("UPDATE balance SET quantity = quantity + 1 WHERE sku = 'SKU-0001'"))
        with pytest.raises(Violation, match="not the sum of their movements"):
            audit(engine)
        engine.dispose()
