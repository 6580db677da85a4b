"""Two and four publishers that share the SKUs by shards, killed in the middle of the protocol, while everything else
fails too: no unit is sold twice, lost or forgotten. The seeds are drawn as those of `test_mixed_faults`; the shards'
locks are the real ones."""

import os
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from simulation_ground import swept_ground  # noqa: F401 - a fixture

from adapters.shard_locks import ShardLocks
from inventory.publishing.outbox import Part
from onhand.simulation.company import Company
from onhand.simulation.drawing import draw
from onhand.simulation.ground import Ground
from onhand.simulation.playing import Play
from onhand.simulation.scenario import Scenario, Task, Works
from onhand.simulation.steps import Died
from tasks.publishing.publish import publish
from tasks.runtime import Runtime

SEEDS = max(1, int(os.environ.get("ONHAND_SEEDS", "100")) // 50)
PATIENCE = timedelta(seconds=90)


class Publishers(Company):
    """Each time one of them publishes, and while it does another may; in calm all do. Who is killed loses its shards,
    and comes back as a new process. Half-way their number of shards is changed, one process after the other."""

    def begin(self, count: int) -> None:
        self.chance = random.Random(self.world.seed)
        self.shards = 2 * count
        self.locks = [ShardLocks(self.engine, self.shards) for _ in range(count)]
        self.at_work: list[int] = []
        self.turns = 0
        self.alone = 0

    def end(self) -> None:
        for one in self.locks:
            one.close()

    def _do(self, runtime: Runtime, work: Works) -> None:
        if work.task is not Task.PUBLISH:
            super()._do(runtime, work)
            return
        self.turns += 1
        if self.turns == 10:
            self.shards += 1
        if 10 <= self.turns < 10 + len(self.locks):
            self._again(self.turns - 10)
        free = [number for number in range(len(self.locks)) if number not in self.at_work]
        for number in free if self.world.calm else [self.chance.choice(free)]:
            self.at_work.append(number)
            try:
                self._publish(runtime, number)
            except Died:
                self._again(number)
                raise
            finally:
                self.at_work.remove(number)

    def _publish(self, runtime: Runtime, number: int) -> None:
        locks = self.locks[number]
        part = Part(self.shards, PATIENCE, locks.look())
        self.alone += len(part.mine) == self.shards
        report = publish(replace(runtime, owner=f"{runtime.owner}-{locks.number}"), part=part)
        self.done.pushes += report.sent
        self.done.confirmed += report.confirmed
        self.world.note(f"publisher {number} with {sorted(part.mine)} of {self.shards}: {report.sent} sent")

    def _again(self, number: int) -> None:
        self.locks[number].close()
        self.locks[number] = ShardLocks(self.engine, self.shards)


class SharedPlay(Play):
    def __init__(self, scenario: Scenario, ground: Ground, count: int) -> None:
        super().__init__(scenario, ground)
        self.publishers = Publishers(
            self.world, self.steps, self.engine, self.shops, self.truth, self.company.check, self.oracle.at_this_step
        )
        self.publishers.begin(count)
        self.company = self.publishers


@pytest.mark.parametrize("publishers", [2, 4])
@pytest.mark.parametrize("seed", range(8000, 8000 + SEEDS))
def test_no_unit_is_sold_twice_lost_or_forgotten_by_several(
    seed: int,
    publishers: int,
    swept_ground: Ground,  # noqa: F811
) -> None:
    swept_ground.sweep()
    play = SharedPlay(replace(draw(seed, 0.5), real_gate=False), swept_ground, publishers)
    try:
        play.run()
    except Exception as error:
        told = "\n".join(play.world.history[-70:])
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}\n{told}") from error
    finally:
        play.publishers.end()
    assert play.truth.oversold == []
    assert play.publishers.turns > play.publishers.alone
