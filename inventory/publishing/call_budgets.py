"""A vendor's allowance, shared by all processes: one token bucket for each account and kind of call.

The database's own clock counts, because the processes' clocks may differ. A call that must wait takes its token at
once and waits outside: `tokens` may be below zero by the calls that are waiting.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

_BEGIN = text(
    """
    INSERT INTO allowance (account, operation, tokens, at)
    VALUES (:account, :operation, :burst, clock_timestamp()) ON CONFLICT DO NOTHING
    """
)

_TAKE = text(
    """
    WITH moment AS MATERIALIZED (
        SELECT greatest(allowance.at, clock_timestamp()) AS now, allowance.tokens, allowance.at
        FROM allowance WHERE account = :account AND operation = :operation FOR UPDATE
    ), filled AS (
        SELECT now, least(:burst, tokens + :rate * extract(epoch FROM now - at)) AS tokens FROM moment
    )
    UPDATE allowance
    SET at = filled.now,
        tokens = filled.tokens - CASE WHEN filled.tokens >= 1 - :most * CAST(:rate AS float8) THEN 1 ELSE 0 END
    FROM filled WHERE account = :account AND operation = :operation
    -- Two seconds' worth of calls may be lost with the server: nobody waits for the disk.
    RETURNING filled.tokens AS before, set_config('synchronous_commit', 'off', true)
    """
)


@dataclass(frozen=True, slots=True)
class Bucket:
    """`rate`: calls a second; `burst`: how many may leave at once after a rest."""

    account: str
    operation: str
    rate: float
    burst: float


def take(connection: Connection, bucket: Bucket, most_s: float) -> float:
    """Seconds until one more call may leave; its place is taken, unless that is more than `most_s`."""
    values = {**_key(bucket), "rate": bucket.rate, "burst": bucket.burst, "most": most_s}
    row = connection.execute(_TAKE, values).one_or_none()
    if row is None:
        connection.execute(_BEGIN, {**_key(bucket), "burst": bucket.burst})
        row = connection.execute(_TAKE, values).one()
    return max(0.0, (1 - float(row.before)) / bucket.rate)


def left(connection: Connection, bucket: Bucket) -> int:
    """How many calls may leave now."""
    filled = connection.execute(
        text(
            "SELECT least(:burst, tokens + :rate * greatest(0, extract(epoch FROM clock_timestamp() - at))) "
            "FROM allowance WHERE account = :account AND operation = :operation"
        ),
        {**_key(bucket), "burst": bucket.burst, "rate": bucket.rate},
    ).scalar_one_or_none()
    return max(0, int(bucket.burst if filled is None else filled))


def refused(connection: Connection, bucket: Bucket) -> None:
    """The vendor says that nothing is left, whatever was counted: others call too."""
    connection.execute(
        text(
            "UPDATE allowance SET tokens = least(tokens, 0), at = greatest(at, clock_timestamp()) "
            "WHERE account = :account AND operation = :operation"
        ),
        _key(bucket),
    )


def _key(bucket: Bucket) -> dict[str, object]:
    return {"account": bucket.account, "operation": bucket.operation}
