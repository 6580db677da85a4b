"""The outbox: SKUs whose listings must be computed again.

Marking is part of the transaction that changed the stock. Many changes make one pending entry
(coalescing); the number to publish is computed when it is sent, never stored here. A claim is a lease:
what a killed publisher held comes back when the lease ends. An entry that was marked again while it was
claimed stays, because its generation moved on.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
class Claim:
    sku: str
    generation: int
    dirty_at: datetime


@dataclass(slots=True)
class Part:
    """Of all SKUs divided into `shards`, those that one publisher takes: the ones in `mine`, which whoever holds it may
    change, and whatever nobody has taken for `patience`. SKUs that share a bundle are in one shard.

    Who takes what is never what makes a number right (leases and row locks do), so it may change at any time.
    """

    shards: int
    patience: timedelta
    mine: frozenset[int] = field(default_factory=frozenset)
    owner: str = ""
    """Begins the names of its leases, see `free_leases_of_the_dead`."""


MARK = """
    INSERT INTO outbox (sku, generation, dirty_at, due_at, eager)
    SELECT sku, 1, :now, :due, :eager FROM unnest(CAST(:dirty AS text[])) AS dirty (sku) ORDER BY sku
    ON CONFLICT (sku) DO UPDATE
    SET generation = outbox.generation + 1, due_at = least(outbox.due_at, EXCLUDED.due_at),
        eager = outbox.eager OR EXCLUDED.eager
    -- What nobody has claimed needs no new generation. Locked it is all the same: nobody claims it before we commit.
    WHERE outbox.lease_owner IS NOT NULL OR outbox.due_at > EXCLUDED.due_at OR EXCLUDED.eager > outbox.eager
    """
_MARK = text(MARK)

_CLAIM = text(
    """
    -- Materialised: a plan that ran the subquery twice would skip what it has just taken, and take more.
    WITH picked AS MATERIALIZED (
        SELECT sku FROM outbox
        WHERE due_at <= :now AND (lease_until IS NULL OR lease_until < :now) AND (eager OR NOT :eager_only)
        ORDER BY eager DESC, due_at LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    -- From here on `eager` tells whether stock changed once more. A killed publisher's is less urgent, not lost.
    UPDATE outbox SET lease_until = :until, lease_owner = :owner, eager = false
    FROM picked WHERE outbox.sku = picked.sku
    RETURNING outbox.sku, outbox.generation, outbox.dirty_at
    """
)

_CLAIM_PART = text(
    """
    WITH picked AS MATERIALIZED (
        SELECT outbox.sku FROM outbox LEFT JOIN sku_family AS kin ON kin.sku = outbox.sku
        WHERE due_at <= :now AND (lease_until IS NULL OR lease_until < :now) AND (eager OR NOT :eager_only)
          AND (mod(abs(hashtextextended(coalesce(kin.family, outbox.sku), 0) % 1000000), CAST(:shards AS bigint))
               = ANY(CAST(:mine AS bigint[])) OR due_at < :late)
        ORDER BY eager DESC, due_at LIMIT :limit FOR UPDATE OF outbox SKIP LOCKED
    )
    UPDATE outbox SET lease_until = :until, lease_owner = :owner, eager = false
    FROM picked WHERE outbox.sku = picked.sku
    RETURNING outbox.sku, outbox.generation, outbox.dirty_at
    """
)
"""As `_CLAIM`, of one part."""

PUBLISHERS = 0x6F6E6863
"""First key of the advisory lock that a publisher holds for as long as it lives; the second is its number."""

_FREE_DEAD = text(
    """
    UPDATE outbox SET lease_until = NULL, lease_owner = NULL, eager = true
    WHERE lease_owner LIKE 'publisher-%' AND NOT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND classid = :publishers AND objsubid = 2 AND granted
          AND objid::text = split_part(outbox.lease_owner, '-', 2)
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
    """
)

_FINISH = text(
    """
    DELETE FROM outbox USING unnest(CAST(:skus AS text[]), CAST(:generations AS bigint[])) AS done (sku, generation)
    WHERE outbox.sku = done.sku AND outbox.generation = done.generation AND outbox.lease_owner = :owner
    """
)

_FREE = text(
    """
    UPDATE outbox SET lease_until = NULL, lease_owner = NULL, dirty_at = :now
    WHERE sku = ANY(:skus) AND lease_owner = :owner
    """
)

_RETURN = text(
    """
    UPDATE outbox SET lease_until = NULL, lease_owner = NULL,
           eager = back.eager OR outbox.eager,
           due_at = CASE WHEN outbox.generation = back.generation THEN back.due ELSE outbox.due_at END
    FROM unnest(CAST(:skus AS text[]), CAST(:generations AS bigint[]), CAST(:dues AS timestamptz[]),
                CAST(:eagers AS bool[])) AS back (sku, generation, due, eager)
    WHERE outbox.sku = back.sku AND outbox.lease_owner = :owner
    """
)


def mark_dirty(
    connection: Connection, skus: Collection[str], *, now: datetime, due: datetime | None = None, eager: bool = True
) -> None:
    """These SKUs must be published again, at `due` (default: at once); those whose stock changed (`eager`) first."""
    if skus:
        connection.execute(_MARK, marking(skus, now=now, due=due, eager=eager))


def marking(
    skus: Collection[str], *, now: datetime, due: datetime | None = None, eager: bool = True
) -> dict[str, object]:
    """The values of MARK."""
    return {"dirty": sorted(set(skus)), "now": now, "due": due or now, "eager": eager}


def claim(
    connection: Connection,
    *,
    owner: str,
    limit: int,
    lease: timedelta,
    now: datetime,
    eager_only: bool = False,
    part: Part | None = None,
) -> list[Claim]:
    """Take at most `limit` due entries that nobody else holds: whose stock changed first (or `eager_only` these), each
    kind oldest first; of one `part`, or of all."""
    values = {"owner": owner, "limit": limit, "until": now + lease, "now": now, "eager_only": eager_only}
    if part is None:
        rows = connection.execute(_CLAIM, values)
    else:
        shares = {"shards": part.shards, "mine": sorted(part.mine), "late": now - part.patience}
        rows = connection.execute(_CLAIM_PART, values | shares)
    return sorted((Claim(row.sku, row.generation, row.dirty_at) for row in rows), key=lambda one: one.dirty_at)


def sold_again(connection: Connection, claims: Collection[Claim]) -> set[str]:
    """Of these claims, the SKUs whose stock changed since they were claimed."""
    rows = connection.execute(
        text("SELECT sku FROM outbox WHERE sku = ANY(:skus) AND eager"), {"skus": [one.sku for one in claims]}
    )
    return {row.sku for row in rows}


def finish(connection: Connection, claims: Collection[Claim], *, owner: str, now: datetime) -> None:
    """Remove what was published; what was marked again meanwhile stays, free to be claimed."""
    if claims:
        ordered = sorted(claims, key=lambda one: one.sku)
        skus = [one.sku for one in ordered]
        generations = [one.generation for one in ordered]
        connection.execute(_FINISH, {"skus": skus, "generations": generations, "owner": owner})
        # A statement of its own, which sees the marks that the first one waited for. In one statement with it an entry
        # that is marked just then would be found by neither, and keep its lease until that ends.
        connection.execute(_FREE, {"skus": skus, "owner": owner, "now": now})


def give_back(
    connection: Connection, claims: Mapping[Claim, datetime], *, owner: str, behind: Collection[str] = ()
) -> None:
    """Release claims without having finished them; each comes due at its time, or at once if marked again.

    `behind`: SKUs of which some channel does not yet show what it should; the others are only to be divided anew.
    """
    if claims:
        ordered = sorted(claims, key=lambda one: one.sku)
        connection.execute(
            _RETURN,
            {
                "skus": [one.sku for one in ordered],
                "generations": [one.generation for one in ordered],
                "dues": [claims[one] for one in ordered],
                "eagers": [one.sku in behind for one in ordered],
                "owner": owner,
            },
        )


def backlog(connection: Connection, *, now: datetime) -> tuple[int, float]:
    """(entries, age in seconds of the oldest that is due)."""
    row = connection.execute(
        text("SELECT count(*) AS n, min(dirty_at) FILTER (WHERE due_at <= :now) AS oldest FROM outbox"), {"now": now}
    ).one()
    return row.n, (now - row.oldest).total_seconds() if row.oldest else 0.0


def free_leases_of_the_dead(connection: Connection) -> int:
    """What publishers whose lock has gone have claimed is free at once, not only when its lease ends. Returns how many.

    Of owners named `publisher-<second key of the lock>-…`. One that lives without its lock loses nothing but the sole
    right to its entries.
    """
    return connection.execute(_FREE_DEAD, {"publishers": PUBLISHERS}).rowcount
