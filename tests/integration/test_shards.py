"""Several publishers: which SKUs belong together, who takes which, and that a sale waits for no other pass."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from fake_channel import Bench, FakeChannel, bench
from ledger_stage import at, rows
from sqlalchemy import Engine, text

from adapters.allowances import Allowances
from adapters.channels.amazon.amazon_budget import PATCH_LISTING, Budget, Plan
from adapters.channels.declared.declared_models import Limits
from adapters.channels.declared.declared_wire import Shared
from adapters.database import create_engine, in_transaction
from adapters.http import ChannelFault, Resolution
from adapters.shard_locks import MOST_SHARDS, ShardLocks, fair_part
from expectations import gate
from inventory import setup
from inventory.publishing import outbox
from tasks.publishing import shards
from tasks.publishing.publish import publish
from tasks.publishing.publishers import publish_together
from tasks.selling.pull import pull

LEASE = timedelta(minutes=2)
SKUS = [f"S{number}" for number in range(40)]


def claimed(engine: Engine, part: outbox.Part | None, *, minute: float = 0, limit: int = 100) -> set[str]:
    found = in_transaction(
        engine, lambda c: outbox.claim(c, owner="w", limit=limit, lease=LEASE, now=at(minute), part=part)
    )
    return {one.sku for one in found}


def catalogue(engine: Engine, *bundles: tuple[str, str]) -> None:
    with engine.begin() as connection:
        setup.add_items(connection, dict.fromkeys([*SKUS, *(sku for pair in bundles for sku in pair)], ""))
        for bundle, component in bundles:
            setup.add_bundle(connection, bundle, {component: 1})


def families(engine: Engine) -> set[frozenset[str]]:
    found: dict[str, set[str]] = {}
    for sku, family in rows(engine, "SELECT sku, family FROM sku_family"):
        found.setdefault(family, set()).add(sku)
    return {frozenset(members) for members in found.values()}


def test_skus_that_share_bundles_near_or_far_are_one_family_in_whatever_order_they_are_added(engine: Engine) -> None:
    catalogue(engine, ("KIT1", "S1"), ("KIT2", "S2"))
    assert families(engine) == {frozenset({"KIT1", "S1"}), frozenset({"KIT2", "S2"})}
    catalogue(engine, ("BOX", "KIT2"), ("BOX", "S3"))
    assert frozenset({"BOX", "KIT2", "S2", "S3"}) in families(engine)
    catalogue(engine, ("KIT1", "S3"))
    assert families(engine) == {frozenset({"BOX", "KIT1", "KIT2", "S1", "S2", "S3"})}
    catalogue(engine, ("KIT1", "S3"))
    assert len(rows(engine, "SELECT sku FROM sku_family")) == 6, "said twice"


@pytest.mark.parametrize("count", [2, 4, MOST_SHARDS])
def test_every_sku_is_in_one_shard_and_a_family_in_the_same(engine: Engine, count: int) -> None:
    kin = {"KIT", "S1", "S2", "S3"}
    catalogue(engine, *(("KIT", sku) for sku in sorted(kin - {"KIT"})))
    in_transaction(engine, lambda c: outbox.mark_dirty(c, [*SKUS, "KIT"], now=at(0)))
    taken = [claimed(engine, outbox.Part(count, LEASE, frozenset({shard}))) for shard in range(count)]
    assert sorted(sku for part in taken for sku in part) == sorted([*SKUS, "KIT"])
    assert [part & kin for part in taken if part & kin] == [kin]
    assert count > 4 or all(taken), "they are spread"


def test_what_nobody_has_taken_for_a_while_anybody_takes(engine: Engine) -> None:
    catalogue(engine)
    in_transaction(engine, lambda c: outbox.mark_dirty(c, SKUS, now=at(0)))
    spare = outbox.Part(4, timedelta(minutes=1))
    assert claimed(engine, spare, minute=1) == set()
    assert claimed(engine, spare, minute=1.1) == set(SKUS)


def test_two_numbers_of_shards_at_once_take_nothing_twice_and_leave_nothing(engine: Engine) -> None:
    """As it is while their number is being changed."""
    catalogue(engine)
    in_transaction(engine, lambda c: outbox.mark_dirty(c, SKUS, now=at(0)))
    parts = [outbox.Part(2, LEASE, frozenset({0})), outbox.Part(3, LEASE, frozenset({0, 2})),
             outbox.Part(2, LEASE, frozenset({1})), outbox.Part(3, LEASE, frozenset({1}))]  # fmt: skip
    taken = [sku for part in parts for sku in claimed(engine, part)]
    assert sorted(taken) == sorted(SKUS)


def test_shares_are_fair_and_whole() -> None:
    for processes in range(1, 12):
        parts = [fair_part(8, processes, rank) for rank in range(processes)]
        assert sum(parts) == 8 and max(parts) - min(parts) <= 1


@pytest.fixture
def several(engine: Engine) -> Iterator[list[ShardLocks]]:
    with ExitStack() as stack:
        yield [stack.enter_context(ShardLocks(engine, 4)) for _ in range(3)]


def settle(locks: list[ShardLocks]) -> list[frozenset[int]]:
    """What each holds when all four are held by them. The end of another's session takes the server a moment."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for _ in range(2):
            held = [one.look() for one in locks]
        if sorted(shard for part in held for shard in part) == [0, 1, 2, 3]:
            return held
        time.sleep(0.01)
    raise AssertionError(f"they do not come to rest: {held}")


def test_processes_divide_the_shards_and_take_over_those_of_a_killed_one(
    engine: Engine, several: list[ShardLocks]
) -> None:
    one, two, three = several
    assert one.look() == {0, 1, 2, 3}
    assert sorted(map(len, settle([one, two]))) == [2, 2]
    held = settle([one, two, three])
    assert sorted(map(len, held)) == [1, 1, 2]
    # A process that is killed is a session that ends: here the server ends it.
    with psycopg.connect(engine.url.set(drivername="postgresql").render_as_string(False), autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory' AND granted "
            "AND objid = %s AND classid = %s",
            (4000 + min(held[1]), 0x6F6E6862),
        )
    assert sorted(map(len, settle([one, three]))) == [2, 2]
    assert two.look() == set(), "it has learned that it holds nothing, and waits before it connects again"
    one.close()
    assert settle([three]) == [{0, 1, 2, 3}]


def test_locks_for_another_number_of_shards_are_other_locks(engine: Engine) -> None:
    with ShardLocks(engine, 4) as four, ShardLocks(engine, 2) as two:
        assert (four.look(), two.look(), four.look()) == ({0, 1, 2, 3}, {0, 1}, {0, 1, 2, 3})
    for wrong in (0, MOST_SHARDS + 1):
        with pytest.raises(ValueError, match="shards"):
            ShardLocks(engine, wrong)


def test_what_a_killed_publisher_had_claimed_is_free_as_soon_as_another_notices(engine: Engine) -> None:
    catalogue(engine)
    in_transaction(engine, lambda c: outbox.mark_dirty(c, SKUS, now=at(0)))

    def claim(owner: str, limit: int = 100) -> int:
        return len(in_transaction(
            engine, lambda c: outbox.claim(c, owner=owner, limit=limit, lease=LEASE, now=at(0))))  # fmt: skip

    with ShardLocks(engine, 4) as killed, ShardLocks(engine, 4) as other:
        for one in (killed, other):
            one.look()
        assert (claim(f"publisher-{killed.number}-0", 10), claim(f"publisher-{other.number}-0", 10)) == (10, 10)
        assert (claim("somebody without a lock", 10), claim("late")) == (10, 10)
        assert in_transaction(engine, outbox.free_leases_of_the_dead) == 0, "both live"
        other.look()
        assert not other.somebody_left
        killed.close()
        until = time.monotonic() + 60
        while not (other.look() and other.somebody_left):
            assert time.monotonic() < until
        assert in_transaction(engine, outbox.free_leases_of_the_dead) == 10
        assert claim(f"publisher-{other.number}-1") == 10
        assert not (other.look() and other.somebody_left), "told once"


def test_one_shard_costs_nothing_and_more_reach_the_passes(engine: Engine) -> None:
    stage = quick(bench(engine, {"A": 9, "B": 9}, one=True, two=True))
    runtime = stage.runtime
    with shards.sharing(runtime, 1) as part:
        assert part is None and shards.current_part() is None
    with shards.sharing(runtime, 8) as part:
        assert part is not None and shards.current_part() is part and part.mine == frozenset(range(8))
        publish_together(runtime, 0, 1, limit=10, at_once=2)
    assert shards.current_part() is None
    assert {code: sum(one.shown.values()) for code, one in stage.channels.items()} == {"one": 10, "two": 8}


def quick(stage: Bench) -> Bench:
    """The gate by its plain masks, which a property test holds equal."""
    stage.runtime.check = gate.recheck
    return stage


def sold(stage: Bench, sku: str, units: int) -> None:
    with stage.engine.begin() as connection:
        connection.execute(
            text("UPDATE balance SET quantity = quantity - :units WHERE sku = :sku AND state = 'available'"),
            {"sku": sku, "units": units},
        )
        outbox.mark_dirty(connection, [sku], now=stage.clock())


def test_a_sale_waits_only_a_moment_for_another_passes_number_on_a_shared_bundle(engine: Engine) -> None:
    """The bundle's number is under way when the second pass looks: answered a moment later, and not when the time of
    doubt of a number without an answer is over."""
    stage = quick(bench(engine, {"A": 10, "C": 10, "KIT": 0}, one=True, two=True))
    with engine.begin() as connection:
        setup.add_bundle(connection, "KIT", {"A": 1, "C": 1})
    for _ in range(9):
        publish(stage.runtime)
        stage.clock.forward(2)
    beside = []

    def meanwhile(channel: FakeChannel, changes: object) -> None:
        if not beside:
            beside.append(True)
            sold(stage, "C", 1)
            beside.append(publish(replace(stage.runtime, owner="other")).claimed)

    stage.channels["one"].before_write = meanwhile
    sold(stage, "A", 6)
    publish(stage.runtime)
    assert beside == [True, 1]
    [(sku, due)] = rows(engine, "SELECT sku, due_at FROM outbox WHERE due_at > :now", now=stage.clock())
    assert sku == "C" and due == stage.clock() + timedelta(seconds=1)


def test_what_was_not_answered_is_looked_at_less_and_less_often(engine: Engine) -> None:
    stage = quick(bench(engine, {"A": 10}, one=False))

    def lost(channel: FakeChannel, changes: object) -> None:
        raise SystemExit("killed")

    stage.channels["one"].before_write = lost
    with pytest.raises(SystemExit):
        publish(stage.runtime)
    stage.clock.forward(121)
    in_transaction(engine, lambda c: c.execute(text("UPDATE listing SET unconfirmed_until = :until"),
                                               {"until": stage.clock() + timedelta(minutes=10)}))  # fmt: skip
    looked = 0
    end = stage.clock() + timedelta(minutes=9)
    while stage.clock() < end:
        looked += publish(replace(stage.runtime, owner="other")).claimed
        [(due,)] = rows(engine, "SELECT due_at FROM outbox")
        stage.clock.at = max(due, stage.clock() + timedelta(seconds=1))
    assert looked == 3, "after 2, 4 and 8 minutes"


def test_an_allowance_is_one_for_all_processes_and_comes_back_with_time(engine: Engine) -> None:
    """By the database's clock: two processes that each think that they have five calls have five together."""
    processes = [Allowances(engine, "amazon"), Allowances(engine, "amazon")]
    waits = [processes[number % 2].take("patch", 0.001, 5, 0) for number in range(7)]
    assert waits[:5] == [0.0] * 5 and all(900 < wait <= 1000 for wait in waits[5:])
    assert [one.left("patch", 0.001, 5) for one in processes] == [0, 0]
    assert Allowances(engine, "ebay").left("patch", 0.001, 5) == 5, "another account"
    in_transaction(engine, lambda c: c.execute(text("UPDATE allowance SET at = at - interval '3000 s'")))
    assert processes[0].left("patch", 0.001, 5) == 3
    assert [processes[1].take("patch", 0.001, 5, 2000) for _ in range(4)][:3] == [0.0] * 3, "and one in debt"
    assert 1900 < processes[0].take("patch", 0.001, 5, 0) <= 2000, "who comes next waits for two"
    in_transaction(engine, lambda c: c.execute(text("UPDATE allowance SET at = at - interval '9 h'")))
    processes[0].refused("patch")
    assert processes[1].left("patch", 0.001, 5) == 0, "the vendor knows better"


def test_an_allowance_that_many_want_at_once_is_spent_to_the_last_call_and_no_further(engine: Engine) -> None:
    shared = Allowances(engine, "amazon")
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: shared.take("feed", 1e-6, 25, 0) == 0, range(60)))
    assert sum(taken) == 25


def test_without_the_database_no_call_leaves() -> None:
    def away() -> None:
        raise psycopg.OperationalError("the database is away")

    nowhere = create_engine("postgresql://", creator=away)
    budget = Budget(together=Allowances(nowhere, "amazon"))
    with pytest.raises(ChannelFault, match="allowance cannot be asked") as caught:
        budget.take("amazon", PATCH_LISTING, 1)
    assert caught.value.resolution is Resolution.RETRY and caught.value.__cause__ is None


def test_the_adapters_count_together(engine: Engine) -> None:
    budgets = [Budget({PATCH_LISTING: Plan(1e-6, 3)}, together=Allowances(engine, "amazon")) for _ in range(2)]
    for number in range(3):
        budgets[number % 2].take("amazon", PATCH_LISTING, 0)
    assert [one.left(PATCH_LISTING) for one in budgets] == [0, 0]
    with pytest.raises(ChannelFault, match="no allowance left"):
        budgets[1].take("amazon", PATCH_LISTING, 5)
    portals = [Shared(together=Allowances(engine, "portal")) for _ in range(2)]
    limits = Limits(requests_per_second=0.01, burst=2)
    assert [portals[number % 2].reserve(limits, 0) for number in range(2)] == [0, 0]
    assert 90 < portals[0].reserve(limits, 0) <= 100


def test_a_wave_counts_what_other_publishers_are_closing_just_now(engine: Engine) -> None:
    """A delivery calls for all listings of an absolute-write channel to go through zero: a quarter at a time."""
    stage = quick(bench(engine, dict.fromkeys(SKUS, 20), one=True, two=False))
    for _ in range(4):
        for code in stage.channels:
            pull(stage.runtime, code)
        publish(stage.runtime)
        stage.clock.forward(20)
    two = stage.channels["two"]
    assert set(two.shown.values()) == {10}
    for sku in SKUS:
        stage.move(sku, 30, receipt=f"delivery of {sku}")
    closing: list[int] = []

    def meanwhile(channel: FakeChannel, changes: object) -> None:
        channel.before_write = None
        publish(replace(stage.runtime, owner="other"))
        closing.append(sum(units == 0 for units in channel.shown.values()))

    two.before_write = meanwhile
    publish(stage.runtime, limit=20)
    assert closing == [1], "the other closes only the one that is always taken"
    assert sum(units == 0 for units in two.shown.values()) == 11


class Killed(BaseException):
    """No `except Exception` may catch it."""


_at_rest: dict[int, dict[str, int]] = {}


@pytest.mark.parametrize("publishers", [1, 2, 4])
def test_they_come_to_rest_where_one_publisher_does(engine: Engine, publishers: int) -> None:
    """Also when one is killed after it has noted its numbers and before it sends them, and never comes back."""
    units = {f"S{number}": 3 + 5 * number for number in range(8)}
    stage = quick(bench(engine, units | {"KIT": 0}, one=True, two=False))
    with engine.begin() as connection:
        setup.add_bundle(connection, "KIT", {"S1": 1, "S2": 2})
        outbox.mark_dirty(connection, [*units, "KIT"], now=stage.clock())

    def die(channel: FakeChannel, changes: object) -> None:
        raise Killed

    with ExitStack() as stack:
        locks = [stack.enter_context(ShardLocks(engine, 4)) for _ in range(publishers)]
        parts = [outbox.Part(4, LEASE, held) for held in settle(locks)]
        assert publishers == 1 or not frozenset.intersection(*(one.mine for one in parts))
        if publishers > 1:
            for channel in stage.channels.values():
                channel.before_write = die
            with pytest.raises(Killed):
                publish(replace(stage.runtime, owner="killed"), part=parts[0])
            for channel in stage.channels.values():
                channel.before_write = None
            locks.pop(0).close()
        for _ in range(24):
            for number, held in enumerate(settle(locks)):
                part = outbox.Part(4, LEASE, held)
                while (report := publish(replace(stage.runtime, owner=f"p{number}"), part=part)).finished:
                    assert report.claimed
            stage.clock.forward(15)
            for code in stage.channels:
                pull(stage.runtime, code)
    shown = {ref: count for channel in stage.channels.values() for ref, count in channel.shown.items()}
    assert rows(engine, "SELECT sku FROM outbox") == []
    assert rows(engine, "SELECT id FROM listing WHERE unconfirmed_until IS NOT NULL") == []
    for sku in units.keys() - {"S1", "S2"}:
        assert shown[f"one-{sku}"] + shown[f"two-{sku}"] == units[sku]
    _at_rest[publishers] = shown
    assert shown == _at_rest[min(_at_rest)]
