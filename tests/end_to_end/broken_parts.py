"""What is broken, how, and what its first trace looks like."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
from broken_trade import one
from broken_world import World, kill
from faulty_link import Mode
from sqlalchemy import Engine

from onhand.prefect_api import PrefectApi

_CHILD_DIED = r"{0} has died"


@dataclass(frozen=True)
class Fault:
    name: str
    strike: Callable[[World, Engine], str]
    """Does it; returns what was done."""
    trace: str
    """Regular expression for the first sign in what the supervisor says, the logs, incidents, faults and health."""
    lasts: float = 0.0
    """Seconds until `end`."""
    end: Callable[[World], None] = field(default=lambda world: None)
    sells: tuple[str, ...] = ("shopify", "ebay", "website")
    """Where the order is placed that must become known everywhere: not in the shop that is in trouble."""
    restarts_stack: bool = False


def _kill_child(name: str) -> Callable[[World, Engine], str]:
    def strike(world: World, engine: Engine) -> str:
        pid = world.child(name)
        kill([pid])
        return f"process {name}"

    return strike


def _kill_run(flow: str, deployment: str) -> Callable[[World, Engine], str]:
    def strike(world: World, engine: Engine) -> str:
        run_id, name = running(world, flow, deployment)
        kill([world.run_process(run_id)])
        return f"the process of the run {name}"

    return strike


def running(world: World, flow: str, deployment: str) -> tuple[str, str]:
    """(id, name) of the run of this deployment that is running; waits for one."""
    state = world.state
    assert state is not None
    api = PrefectApi(state.api_url)
    try:
        found = api._call("GET", f"/deployments/name/{flow}/{deployment}")
        wanted = {
            "flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}},
            "deployments": {"id": {"any_": [found["id"]]}},
            "sort": "START_TIME_DESC",
        }
        deadline = time.monotonic() + 60
        while not (runs := api._call("POST", "/flow_runs/filter", wanted)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"no run of {flow}/{deployment} is running")
            time.sleep(0.2)
        return str(runs[0]["id"]), str(runs[0]["name"])
    finally:
        api.close()


def _kill_postmaster(world: World, engine: Engine) -> str:
    pid = world.postmaster()
    assert pid is not None
    kill([pid])
    return "the postmaster"


def _kill_backend(world: World, engine: Engine) -> str:
    """One that has written and not yet committed; the postmaster then ends all others too and recovers."""
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    asks = (
        "SELECT pid, application_name FROM pg_stat_activity "
        "WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() AND application_name LIKE 'onhand%'"
    )
    deadline = time.monotonic() + 60
    with psycopg.connect(url, autocommit=True) as connection:
        while (found := connection.execute(asks).fetchone()) is None:
            if time.monotonic() > deadline:
                raise RuntimeError("no backend was in a transaction that writes")
        kill([int(found[0])])
    return f"a backend of {found[1]!r} in a transaction that had written"


def _kill_vendor(world: World, engine: Engine) -> str:
    pid = world.vendors["shopify"].process.pid
    assert pid is not None
    kill([pid])
    return "the process of the shopify shop"


def _kill_everything(world: World, engine: Engine) -> str:
    processes = world.processes()
    kill([one.pid for one in processes])
    deadline = time.monotonic() + 30
    while any(one.is_running() and one.status() != "zombie" for one in processes) and time.monotonic() < deadline:
        time.sleep(0.05)
    return f"all {len(processes)} processes at one instant"


def _fill_disk(world: World, engine: Engine) -> str:
    """Until the database can neither write to a table nor begin a new file of its journal."""
    assert world.disk is not None
    world.disk.fill()
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    said = []
    rows = "INSERT INTO disk_filler SELECT repeat(md5(n::text), 50) FROM generate_series(1, 500) AS n"
    for statements in (["CREATE TABLE IF NOT EXISTS disk_filler (content text)", *[rows] * 200], _JOURNAL * 40):
        said.append(_first_failure(url, statements))
    return f"the disk of PostgreSQL filled: {'; '.join(said)}"


_JOURNAL = ["SELECT pg_logical_emit_message(true, 'faults', repeat('x', 1000))", "SELECT pg_switch_wal()"]


def _first_failure(url: str, statements: Sequence[str]) -> str:
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            for statement in statements:
                connection.execute(statement)
    except psycopg.Error as error:
        return str(error).strip().splitlines()[0]
    return "no write has failed"


def _free_disk(world: World) -> None:
    assert world.disk is not None
    world.disk.free()


def drop_filler(engine: Engine) -> None:
    with suppress(Exception), engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS disk_filler")


def _link(code: str, mode: Mode) -> Callable[[World, Engine], str]:
    def strike(world: World, engine: Engine) -> str:
        world.vendors[code].link.become(mode)
        return f"the wire to {code}: {mode}"

    return strike


def _open_link(code: str) -> Callable[[World], None]:
    return lambda world: world.vendors[code].link.become(Mode.OPEN)


def _cut(name: str, mode: Mode, lasts: float, trace: str) -> Fault:
    return Fault(
        name,
        _link("shopify", mode),
        trace,
        lasts=lasts,
        end=_open_link("shopify"),
        sells=("ebay", "website"),
    )


_RUN_DIED = r"has crashed and is started|status code: -9"
_DATABASE_AWAY = "lost until the database is back|OperationalError"
_TROUBLE = r"(fault|health|incident) .*shopify"

FAULTS = (
    Fault("worker killed", _kill_child("worker"), _CHILD_DIED.format("worker")),
    Fault("warm server killed", _kill_child("warm"), _CHILD_DIED.format("warm")),
    Fault(
        "publishing run killed",
        _kill_run("publish_availability", "all-channels"),
        r"publish.*crashed|status code: -9|SIGKILL",
    ),
    Fault("pulling run killed", _kill_run("pull_channels", "channels"), r"pull.*crashed|status code: -9|SIGKILL"),
    Fault("intake killed", _kill_child("intake"), _CHILD_DIED.format("intake")),
    Fault("reservation service killed", _kill_child("reservations"), _CHILD_DIED.format("reservations")),
    Fault("Prefect server killed", _kill_child("prefect-server"), _CHILD_DIED.format("prefect-server")),
    Fault(
        "PostgreSQL killed", _kill_postmaster, r"PostgreSQL has died|lost until the database is back|OperationalError"
    ),
    Fault(
        "one backend killed in mid-transaction",
        _kill_backend,
        r"terminated by signal 9|lost until the database is back",
    ),
    Fault(
        "shop killed, back after 20 s",
        _kill_vendor,
        _TROUBLE,
        lasts=20,
        end=lambda world: world.restart_vendor("shopify"),
        sells=("ebay", "website"),
    ),
    _cut("wire to a shop: refused, 60 s", Mode.REFUSE, 60, _TROUBLE),
    _cut("wire to a shop: black hole, 60 s", Mode.BLACK_HOLE, 60, _TROUBLE),
    _cut("wire to a shop: reset in mid-answer, 30 s", Mode.RESET, 30, _TROUBLE),
    _cut("wire to a shop: answers later than waited for, 30 s", Mode.SLOW, 30, _TROUBLE),
    Fault(
        "disk of PostgreSQL full, 60 s",
        _fill_disk,
        r"No space left|has died|could not extend|PANIC",
        lasts=60,
        end=_free_disk,
    ),
    Fault(
        "everything killed, started again after 10 s",
        _kill_everything,
        r"ended \d+ processes that an earlier stack left|was not running and is started|had lost its process",
        lasts=10,
        end=lambda world: world.start_stack(deploy=False),
        restarts_stack=True,
    ),
)


def ledger_answers(engine: Engine) -> bool:
    return one(engine, "SELECT 1") == 1
