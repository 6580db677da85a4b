"""Two days of the trace with drift of every class planted: found, classed, healed or opened; hardly a false alarm.

`python -m benchmarks.drift_classes` is the long version, with a table.
"""

import pytest
from sqlalchemy import Engine, text

from benchmarks.drift_classes import RECORDED, Plan, run, the_week
from inventory.words import DiscrepancyClass


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_planted_drift_is_found_and_classed(engine: Engine) -> None:
    plan = Plan(days=2, skus=60, each=1, seed=3, until=16)
    trace, _ = the_week(RECORDED if RECORDED.is_file() else None, plan)
    week, scores = run(engine, trace, plan)
    planted = {kind: one.planted for kind, one in scores.by_class.items()}
    assert min(planted.values()) >= 4, planted
    for kind, one in scores.by_class.items():
        # What is healed by a publication before anybody looks is drift that nobody had to see.
        assert one.recall >= 0.6, f"{kind}: {scores.missed} {scores.wrong}"
        assert one.precision >= 0.6, f"{kind}: {scores.wrong} {scores.unplanted}"
    total = sum(planted.values())
    assert sum(one.right for one in scores.by_class.values()) >= 0.8 * total, (scores.missed, scores.wrong)
    assert (week.blocked, week.healed_while_blocked) == (1, 0), "the emptied cache was not believed"
    with engine.connect() as connection:
        left = connection.execute(
            text(
                "SELECT count(*) FROM discrepancy WHERE status = 'open' AND kind = :kind AND comparison <> 'warehouse'"
            ),
            {"kind": DiscrepancyClass.FOREIGN_WRITE.value},
        ).scalar_one()
        orders = connection.execute(
            text("SELECT count(*) FROM discrepancy WHERE drift = 'missed_order' AND resolution = 'healed'")
        ).scalar_one()
    assert left <= 1, "foreign writes are healed"
    assert orders >= 2, "missed orders are applied"
