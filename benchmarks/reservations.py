"""Reservations by 1 to 64 clients, beside a bare conditional update and the way in which open-source peers reserve."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks import holds
from benchmarks.audit import audit, audit_floor, audit_peer
from benchmarks.clients import Crew, Load, Worker, crew
from benchmarks.figures import Result, Say, Target
from benchmarks.hold_rows import BATCH, parts_of_holds
from benchmarks.ledger import Laboratory, laboratory, open_ledger

BARE = "bare conditional update, as many clients"
PEERS = "the peers' pattern, as many clients"
TIMES_PEERS = 10.0
TWO_FROM = 64
"""Clients whose holds are measured with two services too."""
REACH = {("hot", 64): 4.0, ("spread", 16): 0.6, ("spread", 64): 0.9}
"""{(demand, clients): times the bare update}"""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure."""

    rounds: int = 3
    seconds: float = 0.5
    warm_up: float = 0.3
    clients: tuple[int, ...] = (1, 4, 16, 64)
    demands: tuple[str, ...] = ("hot", "spread", "zipf")
    waiting: tuple[int, ...] = (16, 64)
    """Clients where each flush takes 4 ms."""


QUICK = Plan(rounds=1, seconds=0.1, warm_up=0.1, clients=(1, 4), demands=("hot",), waiting=(4,))

Rounds = dict[str, list[float]]


def measure(quick: bool, say: Say) -> Result:
    plan, result = QUICK if quick else Plan(), Result()
    with laboratory() as lab, crew() as workers:
        for flush, demand, clients in _settings(plan):
            say(f"{clients} clients, {demand}, {flush}")
            load = Load(clients, demand, plan.seconds, plan.warm_up)
            _compare(result, _rounds(lab, workers, plan, load, flush), load, flush)
        say("what a hold leaves behind")
        _least(result, lab, workers, plan)
    return result


def _settings(plan: Plan) -> Iterator[tuple[str, str, int]]:
    for demand in plan.demands:
        for clients in plan.clients:
            yield "disk", demand, clients
    for demand in plan.demands[:2]:
        for clients in plan.waiting:
            yield "4 ms flush", demand, clients


def _rounds(laboratory: Laboratory, crew: Crew, plan: Plan, load: Load, flush: str) -> Rounds:
    rounds: Rounds = defaultdict(list)
    for _ in range(plan.rounds):
        rounds["bare"].append(_bare(laboratory, crew, load, flush))
        rounds["peer"].append(_peer(laboratory, crew, load, flush))
        # One process has one Batcher: its clients share it, as the requests of one service do.
        rounds["batched"].append(_holds(laboratory, crew, holds.batched, load, flush))
        if load.clients == 1 and load.demand == plan.demands[0]:
            rounds["direct"].append(_holds(laboratory, crew, holds.direct, load, flush))
        if load.clients == TWO_FROM and load.demand != "hot":
            rounds["two services"].append(_holds(laboratory, crew, holds.batched, load, flush, processes=2))
    return rounds


def _compare(result: Result, rounds: Rounds, load: Load, flush: str) -> None:
    where = f"{load.demand}, {load.clients} clients, {flush}"
    bare, line = rounds["bare"], f"{load.demand}, {flush}"
    reach = REACH.get((load.demand, load.clients))
    result.add(f"floor, bare update: {where}", "1/s", bare, series=f"bare update: {line}", x=load.clients)
    result.add(
        f"hold, batched: {where}", "1/s", rounds["batched"], beside=BARE, floor=bare,
        targets=[Target(reach, of_ratio=True)] if reach else (), series=f"hold: {line}", x=load.clients,
    )  # fmt: skip
    result.add(
        f"hold, batched, beside peers: {where}", "1/s", rounds["batched"], beside=PEERS, floor=rounds["peer"],
        targets=[Target(TIMES_PEERS, of_ratio=True)] if load.clients >= 16 else (),
    )  # fmt: skip
    result.add(
        f"the peers' pattern: {where}", "1/s", rounds["peer"], beside=BARE, floor=bare,
        series=f"peers' pattern: {line}", x=load.clients,
    )  # fmt: skip
    others = {"direct": "hold, one transaction each", "two services": "hold, batched by two services"}
    for kind, name in others.items():
        if kind in rounds:
            result.add(f"{name}: {where}", "1/s", rounds[kind], beside=BARE, floor=bare)


def _least(result: Result, lab: Laboratory, crew: Crew, plan: Plan) -> None:
    """What bounds one writer: the share of its time in the statements that write the rows which holds leave."""
    load = Load(max(plan.clients), "spread", plan.seconds, plan.warm_up)
    bare, whole, writing = [], [], []
    for _ in range(plan.rounds):
        bare.append(_bare(lab, crew, load, "disk"))
        parts = parts_of_holds(lab.fresh(), plan.seconds)
        whole.append(parts.holds / parts.whole)
        writing.append(parts.holds / parts.writing)
    beside = f"bare conditional update, {load.clients} clients"
    sets = f"sets of {BATCH} holds by one connection: spread, disk"
    result.add(sets, "1/s", whole, beside=beside, floor=bare)
    result.add(f"{sets}, of which only the statements that write", "1/s", writing, beside=beside, floor=bare)
    a_set = BATCH / median(whole) * 1000
    told = (
        f"A hold of 1 to 3 lines leaves {parts.rows / parts.holds:.1f} rows on average; the floor changes one. "
        f"{BATCH} of them take {a_set:.1f} ms together: {parts.writing / parts.whole:.0%} in the statements that write "
        f"and the commit, {parts.reading / parts.whole:.0%} in those that read and lock, the rest in Python. Writing "
        f"alone would give {median(writing):,.0f} holds a second, {median(writing) / median(bare):.2f} × the floor of "
        f"{load.clients} clients: the most that one writer could reach, however quick its decisions."
    )
    result.notes.append(told)


def _bare(laboratory: Laboratory, crew: Crew, load: Load, flush: str) -> float:
    url = laboratory.fresh(flush)
    done = crew.run(holds.floor, url, load)
    engine = open_ledger(url)
    audit_floor(engine, done.units)
    engine.dispose()
    return done.rate


def _peer(laboratory: Laboratory, crew: Crew, load: Load, flush: str) -> float:
    url = laboratory.fresh(flush)
    done = crew.run(holds.as_peers_do, url, load, processes=1)
    engine = open_ledger(url)
    audit_peer(engine, done.orders, done.units)
    engine.dispose()
    return done.rate


def _holds(laboratory: Laboratory, crew: Crew, worker: Worker, load: Load, flush: str, processes: int = 1) -> float:
    url = laboratory.fresh(flush)
    done = crew.run(worker, url, load, processes=processes)
    engine = open_ledger(url)
    audit(engine, held=done.orders, units=done.units)
    engine.dispose()
    return done.rate
