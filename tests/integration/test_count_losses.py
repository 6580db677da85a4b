"""What a count finds missing is taken where it does least harm, and never from what a checkout holds."""

from datetime import datetime, timedelta
from decimal import Decimal

from ledger_stage import at, balances, business, incidents, lines, order, receive, rows, sell
from sqlalchemy import Connection, Engine

from adapters.database import in_transaction
from inventory.counting.counting import CountPolicy
from inventory.counting.counting_bins import bins
from inventory.counting.counting_plan import PlanPolicy, plan
from inventory.counting.counting_record import Judged, judge
from inventory.counting.counting_sheets import Filled, fill, lines_to_count, open_sheets
from inventory.holds.reservations import HoldRequest, reserve
from inventory.ledger import stock
from inventory.ledger.ledger import Move
from inventory.ledger.rebuilding import compare
from inventory.words import CountCause, MovementReason, StockState

TRUSTING = CountPolicy(recount_share=1.0, band_share=1.0, band_value=Decimal(10**6))


def count(engine: Engine, sku: str, quantity: int, now: datetime) -> Judged:
    """One person's word, of the bin `sku` at main."""

    def work(connection: Connection) -> Judged:
        known = [one for one in bins(connection, now=now, assumed_cost=1.0) if (one.sku, one.location) == (sku, "main")]
        open_sheets(connection, plan(known, now, PlanPolicy())[0], now=now)
        [line] = lines_to_count(connection)
        filled = fill(connection, [Filled(line.sheet, line.line, "Wanda", quantity, now)], now=now)
        [made] = judge(connection, set(filled.values()), TRUSTING, now=now)
        return made

    return in_transaction(engine, work)


def to(engine: Engine, state: StockState, units: int) -> None:
    made = Move("A", "main", StockState.AVAILABLE, state, units, MovementReason.DAMAGE, "test", f"to {state}", at(2))
    in_transaction(engine, lambda connection: stock.move_stock(connection, [made], now=at(2)))


def test_promises_are_the_last_to_go_and_are_served_from_elsewhere(engine: Engine) -> None:
    business(engine, stock_at={"A": {"main": 10}}, channels={"web": ("main", "attic")})
    to(engine, StockState.QUARANTINED, 2)
    to(engine, StockState.DAMAGED, 1)
    sell(engine, "web", order("1", ("A", 2), minute=3), order("2", ("A", 3), minute=4))
    receive(engine, "A", 1, place="attic")
    at_first = {"main available": 2, "main reserved": 5, "main quarantined": 2, "main damaged": 1, "attic available": 1}
    assert balances(engine, "A") == at_first
    made = count(engine, "A", 6, at(2000))
    assert (made.expected, made.variance, made.posted) == (10, -4, -4)
    assert balances(engine, "A") == {"main reserved": 5, "main damaged": 1, "attic available": 1}
    made = count(engine, "A", 3, at(20_000))
    assert made.posted == -3
    assert balances(engine, "A") == {"main reserved": 3, "attic reserved": 1}
    assert lines(engine) == {
        ("order:web:1", "A", "main"): (2, 0), ("order:web:2", "A", "main"): (1, 0),
        ("order:web:2", "A", "attic"): (1, 0), ("order:web:2", "A", ""): (0, 1),
    }  # fmt: skip
    assert ("oversold", "A") in incidents(engine)
    with engine.connect() as connection:
        assert compare(connection) == []


def test_what_a_checkout_holds_stays_and_the_bin_is_counted_again(engine: Engine) -> None:
    business(engine, stock_at={"A": {"main": 5}}, channels={"web": ("main",)})
    now = at(2000)
    request = HoldRequest("basket", "web", (("A", 3),), timedelta(minutes=15))
    in_transaction(engine, lambda connection: reserve(connection, [request], now=now))
    assert balances(engine, "A") == {"main available": 2, "main reserved": 3}
    made = count(engine, "A", 1, now)
    assert (made.variance, made.posted) == (-4, -2) and balances(engine, "A") == {"main reserved": 3}
    [(cause,)] = rows(engine, "SELECT posted - variance FROM bin_count")
    assert cause == 2
    later = at(2030)
    with engine.connect() as connection:
        [one] = bins(connection, now=later, assumed_cost=1.0)
    assert CountCause.REJECTED in one.prompts
    assert count(engine, "A", 1, later).posted == -2, "the hold has run out"
    assert balances(engine, "A") == {"main available": 1}
    with engine.connect() as connection:
        assert compare(connection) == []
