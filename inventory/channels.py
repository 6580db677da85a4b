"""The state of each channel: mode, watermark, when it was last read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.words import ChannelMode


class UnknownChannel(Exception):
    """The ledger has no such channel."""


@dataclass(frozen=True, slots=True)
class ChannelState:
    code: str
    mode: ChannelMode
    watermark: datetime | None
    placed_watermark: datetime | None
    pulled_at: datetime | None
    overlap: timedelta
    settle: timedelta

    @property
    def reach(self) -> timedelta:
        """How far a pull goes back behind the watermark: also to an order that was hidden while a later one showed."""
        return max(self.overlap, self.settle)


def channel_state(connection: Connection, code: str) -> ChannelState:
    """Raises UnknownChannel."""
    row = connection.execute(
        text(
            "SELECT code, mode, watermark, placed_watermark, pulled_at, overlap_seconds, settle_seconds "
            "FROM channel WHERE code = :code"
        ),
        {"code": code},
    ).one_or_none()
    if row is None:
        known = [one.code for one in connection.execute(text("SELECT code FROM channel ORDER BY code"))]
        raise UnknownChannel(f"no channel {code!r} in the ledger; it has {', '.join(known) or 'none'}")
    return ChannelState(
        row.code,
        ChannelMode(row.mode),
        row.watermark,
        row.placed_watermark,
        row.pulled_at,
        timedelta(seconds=row.overlap_seconds),
        timedelta(seconds=row.settle_seconds),
    )


def begin_watermark(connection: Connection, code: str, *, started: datetime) -> None:
    """The first pull ever starts. From here on every order counts, also if this pull does not come to its end."""
    connection.execute(
        text(
            "UPDATE channel SET watermark = coalesce(watermark, :started), "
            "placed_watermark = coalesce(placed_watermark, watermark, :started) "
            "WHERE code = :code AND (watermark IS NULL OR placed_watermark IS NULL)"
        ),
        {"code": code, "started": started},
    )


def advance_watermark(connection: Connection, code: str, newest: datetime | None, *, pull_started: datetime) -> None:
    """A complete pull, begun at `pull_started`, is stored. `begin_watermark` came before it.

    `newest`: the latest change in it, by the channel's clock; None when there was none. The watermark moves
    by what the channel itself said, never by our clock alone: the channel's may be behind. It never goes
    back, and never beyond the start of the pull: an order from a clock that runs ahead must not hide those
    after it. The interval of the pulls is kept beside it (`inventory.outages.darkness`).
    """
    connection.execute(
        text(
            """
            UPDATE channel
            SET pulled_at = greatest(pulled_at, CAST(:started AS timestamptz)),
                -- Up by half at most and down by a tenth: one long gap does not hide the next. At first nobody knows
                -- how regular the pulls will be: five minutes are supposed.
                pulls_every = CASE WHEN pulled_at IS NULL OR pulled_at >= CAST(:started AS timestamptz) THEN pulls_every
                    ELSE (SELECT CASE WHEN pulls_every IS NULL THEN greatest(passed, 300)
                                      WHEN passed > pulls_every THEN least(passed, pulls_every * 1.5)
                                      ELSE greatest(passed, pulls_every * 0.9) END
                          FROM (SELECT extract(epoch FROM CAST(:started AS timestamptz) - pulled_at)::float8 AS passed)
                               AS gap) END,
                watermark = greatest(watermark, CAST(:newest AS timestamptz))
            WHERE code = :code
            """
        ),
        {
            "code": code,
            "newest": None if newest is None else min(newest, pull_started),
            "started": pull_started,
        },
    )


def advance_placed_watermark(connection: Connection, code: str) -> None:
    """The pull that `advance_watermark` has just noted searched by the instant of placing too."""
    connection.execute(text("UPDATE channel SET placed_watermark = watermark WHERE code = :code"), {"code": code})


@dataclass(frozen=True, slots=True)
class ShownCounts:
    """How many listings a channel has, how many of them show more than zero, and how many were taken to zero
    by a push lately and are there still, those included that are being taken there just now."""

    listings: int
    selling: int
    zeroed: int


def shown_counts(connection: Connection, codes: Sequence[str], *, since: datetime) -> dict[str, ShownCounts]:
    """By channel; those without listings are left out."""
    rows = connection.execute(
        text(
            """
            SELECT channel, count(*) AS listings,
                   count(*) FILTER (WHERE observed > 0 AND NOT closing) AS selling,
                   count(*) FILTER (WHERE published = 0 AND published_at > :since
                                      AND (closing OR coalesce(observed, 0) <= 0)) AS zeroed
            FROM listing,
                 LATERAL (SELECT coalesce(published = 0 AND published_at > :since, false)
                                 AND unconfirmed_until IS NOT NULL) AS under_way (closing)
            WHERE channel = ANY(:codes) GROUP BY channel
            """
        ),
        {"codes": list(codes), "since": since},
    )
    return {row.channel: ShownCounts(row.listings, row.selling, row.zeroed) for row in rows}
