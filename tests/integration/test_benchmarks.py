"""The benchmarks run, audit what they measured, and write what they say they write. Nothing here is timed."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from benchmarks.audit import Violation, audit, audit_floor
from benchmarks.ledger import laboratory, open_ledger
from benchmarks.memory import peak_mb
from benchmarks.registry import BENCHMARKS
from benchmarks.report import read

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
    entries = read(output)
    assert set(entries) == {name for name, one in BENCHMARKS.items() if one.quick}
    for entry in entries.values():
        assert {"cores", "load_before", "flush_ms"} <= entry.about.keys()
        for figure in entry.result.figures:
            assert 0 < figure.min <= figure.median <= figure.max, figure
            assert (figure.ratio is None) == (figure.floor is None) == (not figure.beside), figure
    names = " ".join(figure.name for entry in entries.values() for figure in entry.result.figures)
    for what in ("hot", "1 clients", "4 clients", "4 ms flush", "batched", "one transaction each", "peers' pattern",
                 "page of", "expiry", "added up by pandas", "a pass of", "shopify"):  # fmt: skip
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


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells a program's own peak")
def test_the_peak_of_memory_is_of_the_program_and_not_of_who_started_it() -> None:
    ours = bytearray(b"x") * 300_000_000
    program = "from benchmarks.memory import peak_mb; print(peak_mb())"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 1 < float(done.stdout) < 100 < peak_mb(), len(ours)


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
