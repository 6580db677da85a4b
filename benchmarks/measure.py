"""What is measured, in which order, and how rounds become figures."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks import holds, pages
from benchmarks.audit import audit, audit_floor
from benchmarks.clients import Crew, Load, Worker
from benchmarks.ledger import Laboratory, open_ledger


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure."""

    rounds: int
    seconds: float
    warm_up: float
    clients: tuple[int, ...]
    demands: tuple[str, ...]
    page: int
    singly: int
    """Orders applied one by one."""
    expiring: int


FULL = Plan(
    rounds=3,
    seconds=0.5,
    warm_up=0.3,
    clients=(1, 16, 64),
    demands=("hot", "spread", "zipf"),
    page=1000,
    singly=100,
    expiring=10_000,
)
QUICK = Plan(rounds=1, seconds=0.1, warm_up=0.1, clients=(1, 4), demands=("hot",), page=50, singly=5, expiring=200)


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of the rounds, and of the rounds of the floor beside it; per second unless `unit` says else."""

    name: str
    value: float
    unit: str
    floor: float | None
    ratio: float | None
    min: float
    max: float


Rounds = dict[str, list[float]]


def measure(laboratory: Laboratory, crew: Crew, plan: Plan, say: Callable[[str], None]) -> list[Figure]:
    """All figures. Raises `audit.Violation` when a promise broke."""
    figures: list[Figure] = []
    for flush, demand, clients in _settings(plan):
        say(f"{clients} clients, {demand}, {flush}")
        load = Load(clients, demand, plan.seconds, plan.warm_up)
        figures += _reservations(laboratory, crew, plan, load, flush)
    say("pages of orders, and expiry")
    figures += _sets(laboratory, crew, plan)
    return figures


def _settings(plan: Plan) -> Iterator[tuple[str, str, int]]:
    for demand in plan.demands:
        for clients in plan.clients:
            yield "disk", demand, clients
    for demand in plan.demands[:2]:
        for clients in plan.clients[1:]:
            yield "4 ms flush", demand, clients


def _reservations(laboratory: Laboratory, crew: Crew, plan: Plan, load: Load, flush: str) -> list[Figure]:
    rounds: Rounds = defaultdict(list)
    for _ in range(plan.rounds):
        rounds["floor"].append(_floor(laboratory, crew, load, flush))
        # One process has one Batcher: its clients share it, as the requests of one service do.
        rounds["batched"].append(_holds(laboratory, crew, holds.batched, load, flush))
        if load.clients == 1 and load.demand == plan.demands[0]:
            rounds["direct"].append(_holds(laboratory, crew, holds.direct, load, flush))
    where = f"{load.demand}, {load.clients} clients, {flush}"
    names = {"floor": "floor: bare update", "batched": "hold, batched", "direct": "hold, one transaction each"}
    return [_figure(f"{names[kind]}: {where}", found, rounds["floor"], "1/s") for kind, found in rounds.items()]


def _floor(laboratory: Laboratory, crew: Crew, load: Load, flush: str) -> float:
    url = laboratory.fresh(flush)
    done = crew.run(holds.floor, url, load)
    engine = open_ledger(url)
    audit_floor(engine, done.units)
    engine.dispose()
    return done.rate


def _holds(laboratory: Laboratory, crew: Crew, worker: Worker, load: Load, flush: str) -> float:
    url = laboratory.fresh(flush)
    done = crew.run(worker, url, load, processes=1)
    engine = open_ledger(url)
    audit(engine, held=done.orders, units=done.units)
    engine.dispose()
    return done.rate


def _sets(laboratory: Laboratory, crew: Crew, plan: Plan) -> list[Figure]:
    load = Load(1, "zipf", plan.seconds, plan.warm_up)
    rounds: Rounds = defaultdict(list)
    for seed in range(plan.rounds):
        rounds["floor"].append(_floor(laboratory, crew, load, "disk"))
        rounds["page"].append(pages.page(laboratory.fresh(), plan.page, seed=seed))
        rounds["single"].append(pages.one_by_one(laboratory.fresh(), plan.singly, seed=seed))
        rounds["expiry"].append(pages.expiry(laboratory.fresh(), plan.expiring))
    return [
        _figure(f"page of {plan.page} orders in one transaction, floor: bare update by 1 client", rounds["page"],
                rounds["floor"], "orders/s"),
        _figure(f"page of {plan.page} orders in one transaction, floor: order by order", rounds["page"],
                rounds["single"], "orders/s"),
        _figure("orders one by one, floor: bare update by 1 client", rounds["single"], rounds["floor"], "orders/s"),
        _figure(f"expiry of {plan.expiring} holds in chunks of {pages.CHUNK}, floor: bare update by 1 client",
                rounds["expiry"], rounds["floor"], "holds/s"),
    ]  # fmt: skip


def _figure(name: str, found: list[float], floor: list[float], unit: str) -> Figure:
    value, beside = median(found), median(floor)
    return Figure(name, round(value, 1), unit, round(beside, 1), round(value / beside, 3),
                  round(min(found), 1), round(max(found), 1))  # fmt: skip
