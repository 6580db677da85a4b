"""What a run that died was at is taken over by the next one that begins, and not minutes later."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from ledger_stage import at, rows
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from adapters.database import in_transaction
from adapters.prefect_server import PrefectServer
from inventory.orders import inbox, notice_store
from inventory.orders.notice_store import NewNotice
from inventory.publishing import outbox
from inventory.publishing.left_claims import owner_of, runs_that_hold
from tasks.inherit import inherit
from tasks.publishing import publishers
from tasks.publishing.publish import PublishReport
from tasks.publishing.publishers import publish_together
from tasks.runtime import Runtime
from tasks.selling.listen import listening

LEASE = timedelta(minutes=2)
DEAD, ALIVE = str(uuid4()), str(uuid4())


def prefect(*answers: httpx.Response) -> PrefectServer:
    """It says that DEAD has ended."""

    def answer(request: httpx.Request) -> httpx.Response:
        run = {"id": DEAD, "name": "publish-12:00", "deployment_id": None, "flow_id": "f", "state": {"type": "CRASHED"}}
        return answers[0] if answers else httpx.Response(200, json=[run])

    return PrefectServer("http://prefect.test/api", transport=httpx.MockTransport(answer))


def claim_everything(engine: Engine, owner: str) -> dict[str, int]:
    def work(connection: Any) -> dict[str, int]:
        how = {"owner": owner, "limit": 100, "lease": LEASE, "now": at(0)}
        return {
            "outbox": len(outbox.claim(connection, **how)),
            "inbox": len(inbox.claim(connection, "web", **how)),
            "notice": len(notice_store.claim(connection, "web", **how)),
        }

    return in_transaction(engine, work)


@pytest.fixture
def runtime(engine: Engine) -> Runtime:
    def work(connection: Any) -> None:
        for number, owner in enumerate((f"{owner_of(DEAD)}-0", f"{owner_of(DEAD)}-1", owner_of(ALIVE), "process-1")):
            outbox.mark_dirty(connection, [f"S{number}"], now=at(0), eager=False)
            inbox.store(connection, "web", [{"order_id": str(number)}], now=at(0))
            notice = NewNotice("web", f"e{number}", "orders", str(number), "")
            notice_store.store(connection, [notice], now=at(0))
            how = {"owner": owner, "limit": 100, "lease": LEASE, "now": at(0)}
            outbox.claim(connection, **how)
            inbox.claim(connection, "web", **how)
            notice_store.claim(connection, "web", **how)

    in_transaction(engine, work)
    return Runtime(engine, open=lambda code: pytest.fail(code), now=lambda: at(0))


def test_only_what_the_dead_hold_is_free_at_once(engine: Engine, runtime: Runtime) -> None:
    assert claim_everything(engine, "heir") == {"outbox": 0, "inbox": 0, "notice": 0}
    with engine.connect() as connection:
        assert runs_that_hold(connection) == {DEAD, ALIVE}
    assert inherit(runtime, prefect()) == 6
    assert rows(engine, "SELECT sku FROM outbox WHERE eager ORDER BY sku") == [("S0",), ("S1",)]
    assert claim_everything(engine, "heir") == {"outbox": 2, "inbox": 2, "notice": 2}
    assert inherit(runtime, prefect()) == 0, "what the heir holds is the heir's"


def test_where_prefect_does_not_answer_leases_last_to_their_end(engine: Engine, runtime: Runtime) -> None:
    assert inherit(runtime, prefect(httpx.Response(503))) == 0
    assert inherit(runtime, None) == 0
    assert claim_everything(engine, "heir") == {"outbox": 0, "inbox": 0, "notice": 0}


def test_a_publisher_that_was_not_dead_finishes_nothing_of_its_heir(engine: Engine, runtime: Runtime) -> None:
    late = outbox.Claim("S0", 1, at(0))
    inherit(runtime, prefect())
    claim_everything(engine, "heir")
    in_transaction(engine, lambda c: outbox.finish(c, [late], owner=f"{owner_of(DEAD)}-0", now=at(0)))
    assert rows(engine, "SELECT lease_owner FROM outbox WHERE sku = 'S0'") == [("heir",)]


def test_what_a_lost_connection_ended_is_begun_anew(engine: Engine, runtime: Runtime) -> None:
    """The process lives on: neither dead, nor at what it had claimed."""

    def claim(connection: Any) -> None:
        how = {"limit": 100, "lease": LEASE, "now": at(0)}
        outbox.mark_dirty(connection, ["MINE"], now=at(0))
        assert [one.sku for one in outbox.claim(connection, owner=f"{runtime.owner}-1", **how)] == ["MINE"]
        for channel in ("web", "fair"):
            inbox.store(connection, channel, [{"order_id": "mine"}], now=at(0))
            notice_store.store(connection, [NewNotice(channel, "mine", "orders", "mine", "")], now=at(0))
            assert len(inbox.claim(connection, channel, owner=runtime.owner, **how)) == 1
            assert len(notice_store.claim(connection, channel, owner=runtime.owner, **how)) == 1

    in_transaction(engine, claim)
    publish_together(runtime, 0, 1, limit=10, at_once=2)
    assert rows(engine, "SELECT sku FROM outbox WHERE sku = 'MINE'") == [], "published: nobody lists it"
    assert len(rows(engine, "SELECT sku FROM outbox")) == 4, "what others hold is theirs"
    with listening(runtime, "web"):
        for table in ("inbox", "notice"):
            mine = f"SELECT channel FROM {table} WHERE lease_owner = :owner"
            assert rows(engine, mine, owner=runtime.owner) == [("fair",)], "the other channel has a thread of its own"
            assert len(rows(engine, f"SELECT 1 FROM {table} WHERE lease_owner IS NOT NULL")) == 5


@pytest.mark.parametrize("breaks", ["publisher", "look-out"])
def test_one_publisher_that_loses_the_database_ends_all(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, breaks: str
) -> None:
    """Else it would be away, with what it had claimed, until the others have done: here after an hour."""

    def lost(*arguments: Any) -> Any:
        raise OperationalError("SELECT 1", {}, Exception("the server closed the connection"))

    def one_fails(given: Runtime, **how: Any) -> PublishReport:
        if breaks == "publisher" and given.owner.endswith("-1"):
            lost()
        return PublishReport(at(0))

    monkeypatch.setattr(publishers, "publish", one_fails)
    monkeypatch.setattr(publishers, "watch", lost if breaks == "look-out" else lambda given: None)
    with pytest.raises(OperationalError, match="closed"):
        publish_together(runtime, 3600, 0.05, limit=10, at_once=3)
