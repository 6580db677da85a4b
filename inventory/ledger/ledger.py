"""The ledger: append-only double-entry movements, and the balances that are their sum.

Every change of stock goes through `post`, inside the caller's transaction. Whoever decides on the ground
of a balance first locks it with `lock_balances`: one place, one order (sku, location, state), so that
two transactions never wait for each other in a circle.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import IntegrityError

from inventory.words import MovementReason, StockState

BalanceKey = tuple[str, str, str]
"""(sku, location, state)"""


class InsufficientStock(Exception):
    """A movement would take more units from a physical state than are there. Nothing was changed."""


# Not frozen: pages and batches make thousands, and a frozen one takes three times as long to make.
@dataclass(slots=True, unsafe_hash=True)
class Move:
    """One movement to post: `quantity` (> 0) units of `sku` from one state to another.

    `event_key` names the event that caused it; posting the same key again changes nothing.
    """

    sku: str
    location: str
    from_state: StockState
    to_state: StockState
    quantity: int
    reason: MovementReason
    source: str
    event_key: str
    occurred_at: datetime
    to_location: str | None = None
    actor: str = ""
    reference: str = ""


_LOCK = text(
    """
    SELECT sku, location, state, quantity FROM balance
    WHERE sku = ANY(:skus) ORDER BY sku, location, state FOR UPDATE
    """
)

_LOCK_SOME = text(
    """
    SELECT sku, location, state, quantity FROM balance
    WHERE sku = ANY(:skus) AND state = ANY(:states) ORDER BY sku, location, state FOR UPDATE
    """
)

_ENSURE = text(
    """
    INSERT INTO balance (sku, location, state, quantity)
    SELECT sku, location, state, 0
    FROM unnest(CAST(:skus AS text[]), CAST(:locations AS text[]), CAST(:states AS text[]))
         AS wanted (sku, location, state)
    ORDER BY 1, 2, 3
    ON CONFLICT DO NOTHING
    """
)

_POST = """
    posted AS (
        INSERT INTO movement (sku, location, to_location, from_state, to_state, quantity, reason, source, actor,
                              reference, event_key, occurred_at, recorded_at)
        SELECT sku, location, to_location, from_state, to_state, quantity, reason, source, actor,
               reference, event_key, occurred_at, :now
        FROM unnest(CAST(:skus AS text[]), CAST(:locations AS text[]), CAST(:to_locations AS text[]),
                    CAST(:from_states AS text[]), CAST(:to_states AS text[]), CAST(:quantities AS bigint[]),
                    CAST(:reasons AS text[]), CAST(:sources AS text[]), CAST(:actors AS text[]),
                    CAST(:references AS text[]), CAST(:event_keys AS text[]), CAST(:occurred AS timestamptz[]))
             AS given (sku, location, to_location, from_state, to_state, quantity, reason, source, actor,
                       reference, event_key, occurred_at)
        ON CONFLICT (event_key) DO NOTHING
        RETURNING sku, location, to_location, from_state, to_state, quantity, event_key
    ), net AS (
        SELECT sku, location, state, sum(change) AS change
        FROM (SELECT sku, location, from_state AS state, -quantity AS change FROM posted
              UNION ALL
              SELECT sku, to_location, to_state, quantity FROM posted) AS sides
        GROUP BY sku, location, state
    ), applied AS (
        UPDATE balance SET quantity = balance.quantity + net.change
        FROM net
        WHERE balance.sku = net.sku AND balance.location = net.location AND balance.state = net.state
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM net) AS wanted, (SELECT count(*) FROM applied) AS applied,
           (SELECT array_agg(event_key) FROM posted) AS posted
    """


@lru_cache
def _posting(along: tuple[str, ...]) -> TextClause:
    return text(f"WITH {''.join(f'along_{number} AS ({one}), ' for number, one in enumerate(along))}{_POST}")


_BY_KEY = text(
    "SELECT set_config('enable_seqscan', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true)"
)


def plan_by_key(connection: Connection) -> None:
    """For the rest of this transaction: every row is found by an index, and plans are kept from one to the next.

    For the hot paths, which touch rows by their keys alone; there planning costs as much as doing. Without the
    first setting a plan made while a table was nearly empty would be kept, and would read all of it later.
    """
    connection.execute(_BY_KEY)


def lock_balances(
    connection: Connection, skus: Collection[str], states: Collection[StockState] = ()
) -> dict[BalanceKey, int]:
    """Lock every balance of these SKUs until the transaction ends, and return what they hold.

    Only those in `states`, where any are given: whoever changes no others. Everybody locks what is available, so that
    alone keeps two apart; a third state that is locked later could make two wait for each other.
    """
    if not skus:
        return {}
    wanted = sorted(set(skus))
    if states:
        rows = connection.execute(_LOCK_SOME, {"skus": wanted, "states": [state.value for state in states]})
    else:
        rows = connection.execute(_LOCK, {"skus": wanted})
    # Fetched at once: one by one costs five times as much.
    return {(sku, location, state): quantity for sku, location, state, quantity in rows.all()}


def ensure_balances(connection: Connection, keys: Iterable[BalanceKey]) -> None:
    """Make the rows that do not exist yet, at zero."""
    wanted = sorted(set(keys))
    if wanted:
        skus, locations, states = (list(column) for column in zip(*wanted, strict=True))
        connection.execute(_ENSURE, {"skus": skus, "locations": locations, "states": states})


def post(
    connection: Connection,
    moves: Sequence[Move],
    *,
    now: datetime,
    known: Collection[BalanceKey] = frozenset(),
    along: Mapping[str, Mapping[str, object]] | None = None,
) -> set[str]:
    """Append the movements and change the balances by their net, all or nothing.

    `along` are {statement that writes: its values} to be run with it: each statement by itself costs a round trip.
    `:now` is the same in all; no other name may be one of the columns here.

    `known` are balance rows that the caller has locked (they exist). Returns the event keys that were new;
    a key that is already in the journal is skipped with its units. Raises `InsufficientStock`.
    """
    if not moves:
        return set()
    if not known:
        lock_balances(connection, {move.sku for move in moves})
    sides = {(m.sku, m.location, m.from_state.value) for m in moves}
    sides |= {(m.sku, m.to_location or m.location, m.to_state.value) for m in moves}
    ensure_balances(connection, sides - set(known))
    try:
        values = {name: value for one in (along or {}).values() for name, value in one.items()}
        row = connection.execute(_posting(tuple(along or ())), {**values, **_columns(moves), "now": now}).one()
    except IntegrityError as error:
        if "balance_never_negative" in str(error.orig):
            raise InsufficientStock(_shortage(moves)) from error
        raise
    assert row.wanted == row.applied, "a balance row vanished while it was locked"
    return set(row.posted or ())


def _columns(moves: Sequence[Move]) -> dict[str, list[object]]:
    return {
        "skus": [m.sku for m in moves],
        "locations": [m.location for m in moves],
        "to_locations": [m.to_location or m.location for m in moves],
        "from_states": [m.from_state.value for m in moves],
        "to_states": [m.to_state.value for m in moves],
        "quantities": [m.quantity for m in moves],
        "reasons": [m.reason.value for m in moves],
        "sources": [m.source for m in moves],
        "actors": [m.actor for m in moves],
        "references": [m.reference for m in moves],
        "event_keys": [m.event_key for m in moves],
        "occurred": [m.occurred_at for m in moves],
    }


def _shortage(moves: Sequence[Move]) -> str:
    first = moves[0]
    more = f" (and {len(moves) - 1} more)" if len(moves) > 1 else ""
    return (
        f"{first.quantity} of {first.sku} cannot leave {first.from_state} at {first.location}{more}: "
        "there are fewer; nothing was changed"
    )
