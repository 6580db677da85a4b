"""What a reconciliation asks of the database grows with the listings, and not with their square, however many differ.

Counted are rows read and look-ups, by PostgreSQL itself: the planner knows nothing of rows that were written just now,
and a plan that reads a table once for each of them answers the same.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Connection, Engine, event, text

from benchmarks.ledger import now
from benchmarks.reconciliation import CHANNEL, CHUNK, SHOWN, WideShop, fill
from expectations import gate
from inventory.reconciling.readings import observe_page
from inventory.reconciling.reconciliation import Reconciliation
from tasks.reconciling import compare
from tasks.reconciling.compare import compare_channel
from tasks.runtime import Runtime

LISTINGS = 2000
DIFFER = LISTINGS // 2
EACH = 50
"""Rows and look-ups that a listing may cost."""
_WORK = """
    SELECT coalesce(sum(seq_tup_read + coalesce(idx_scan, 0) + coalesce(idx_tup_fetch, 0)), 0)::bigint
    FROM pg_stat_xact_user_tables
"""


@pytest.fixture
def work(engine: Engine) -> list[int]:
    """Rows read and look-ups of each transaction from now on."""
    found: list[int] = []

    @event.listens_for(engine, "commit")
    def count(connection: Connection) -> None:
        found.append(connection.execute(text(_WORK)).scalar_one())
        # What is not handed over would be counted with the next transaction again.
        connection.execute(text("SELECT pg_stat_force_next_flush()"))

    return found


@pytest.fixture
def look(engine: Engine) -> Callable[[int], Reconciliation]:
    """Reconcile while every so manieth listing shows one more than it should; 0: none."""
    shop = WideShop(CHANNEL, lambda: now(), True, {})  # type: ignore[arg-type]
    runtime = Runtime(engine, lambda code: shop, now, check=gate.recheck)  # type: ignore[arg-type, return-value]

    def looked(off: int) -> Reconciliation:
        shop.off = off
        late = timedelta(minutes=30)
        return compare_channel(runtime, CHANNEL, stale_after=late, heal=True, chunk=CHUNK, approved_by="Wanda")

    return looked


def test_many_that_differ_and_agree_and_differ_again_cost_in_proportion(
    engine: Engine, work: list[int], look: Callable[[int], Reconciliation]
) -> None:
    fill(engine, LISTINGS)
    for off, opened, closed, disputed in ((2, DIFFER, 0, 0), (0, 0, DIFFER, 0), (2, DIFFER, 0, DIFFER)):
        del work[:]
        result = look(off)
        assert (result.differing, result.closed, len(result.disputed)) == (opened, closed, disputed)
        assert LISTINGS < sum(work) < EACH * LISTINGS, (off, work)
        _publish(engine)


def test_noting_what_was_seen_reads_each_listing_once_and_not_once_a_page(
    engine: Engine, work: list[int], look: Callable[[int], Reconciliation], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(engine, 7 * DIFFER)
    monkeypatch.setattr(compare, "observe_page", partial(observe_page, limit=20))
    look(0)
    pages = work[-DIFFER // 20 - 2 :]
    assert sum(pages) < EACH * DIFFER, work


def _publish(engine: Engine) -> None:
    """As if our number had arrived everywhere."""
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM outbox"))
        connection.execute(
            text(
                "UPDATE listing SET exposure = :shown, settling = NULL, settling_since = NULL, confirmed = :shown, "
                "confirmed_at = clock_timestamp(), published_at = clock_timestamp()"
            ),
            {"shown": SHOWN},
        )
