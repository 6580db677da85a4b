"""Does each channel still let us in, does its clock agree with ours, does it still tell us of its orders?"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from adapters.channels.protocol import Channel
from adapters.clocks import seconds_ahead
from adapters.database import unit_of_work
from adapters.http import ChannelFault, Resolution
from adapters.settings import SettingsError
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.words import IncidentKind, Severity
from tasks.runtime import Runtime

CLOCK_LIMIT_S = 30.0
QUIET = timedelta(days=1)
"""A channel that sold and told nothing of it for so long is taken for silent."""
CREDENTIALS = "check its credentials: docs/credentials.md"


@dataclass(frozen=True, slots=True)
class Integration:
    channel: str
    vendor: str
    mode: str
    first_mode: str
    """With which `channels.toml` lets it begin; the mode above is the one that holds."""
    orders: str
    quantities: str
    clock: str
    told: str
    advice: tuple[str, ...]
    locked_out: bool
    """The credentials are missing or refused."""

    def row(self) -> dict[str, str]:
        """For people."""
        return {
            "channel": self.channel,
            "vendor": self.vendor,
            "mode": self.mode,
            "mode in channels.toml": self.first_mode,
            "orders": self.orders,
            "quantities": self.quantities,
            "its clock": self.clock,
            "told us of orders": self.told,
            "what to do": "; ".join(self.advice) or "nothing",
        }


def check_integrations(
    runtime: Runtime, channels: list[str], clock_of: Callable[[str], float | None] = seconds_ahead
) -> list[Integration]:
    """One for each channel; what fails for one does not hide the next. Nothing is written to a channel."""
    found = [_check(runtime, code, clock_of) for code in channels]
    now = runtime.now()
    locked_out = [
        NewIncident(
            IncidentKind.CREDENTIALS,
            Severity.CRITICAL,
            one.channel,
            f"{one.channel} does not let us in (orders: {one.orders}; quantities: {one.quantities}): {CREDENTIALS}",
        )
        for one in found
        if one.locked_out
    ]
    with unit_of_work(runtime.engine) as connection:
        open_incidents(connection, locked_out, now=now)
        fine = [one.channel for one in found if not one.locked_out]
        resolve_incidents(connection, IncidentKind.CREDENTIALS, fine, now=now)
    return found


def _check(runtime: Runtime, code: str, clock_of: Callable[[str], float | None]) -> Integration:
    with unit_of_work(runtime.engine) as connection:
        facts = connection.execute(
            text(
                """
                SELECT vendor, mode, (SELECT min(ref) FROM listing WHERE listing.channel = channel.code) AS ref,
                       (SELECT max(received_at) FROM notice WHERE notice.channel = channel.code) AS told_at,
                       (SELECT max(recorded_at) FROM reservation WHERE reservation.channel = channel.code
                           AND kind = 'order') AS sold_at
                FROM channel WHERE code = :code
                """
            ),
            {"code": code},
        ).one()
    config = runtime.configs.get(code)
    since = runtime.now() - timedelta(minutes=1)
    orders = _try(runtime, code, lambda channel: next(iter(channel.pull_orders(since)), None))
    quantities = (
        _try(runtime, code, lambda channel: channel.read_quantities([facts.ref]))
        if facts.ref
        else _Answer("no listing")
    )
    ahead = clock_of(config.base_url) if config else None
    silent = runtime.expects_notices(code) and _silent(facts.told_at, facts.sold_at)
    advice = [*dict.fromkeys(filter(None, (orders.advice, quantities.advice)))]
    if ahead is not None and abs(ahead) > CLOCK_LIMIT_S:
        advice.append("set the clock of this machine (NTP); if it is right, tell the vendor")
    if silent:
        advice.append("its webhooks or queue are silent: look at them there; until then its orders are polled")
    return Integration(
        channel=code,
        vendor=facts.vendor,
        mode=facts.mode,
        first_mode=config.mode if config else "not in channels.toml",
        orders=orders.found,
        quantities=quantities.found,
        clock=_clock(ahead),
        told=_told(runtime, code, facts.told_at),
        advice=tuple(advice),
        locked_out=orders.locked_out or quantities.locked_out,
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    found: str
    advice: str = ""
    locked_out: bool = False


def _try(runtime: Runtime, code: str, read: Callable[[Channel], object]) -> _Answer:
    try:
        with runtime.channel(code) as channel:
            read(channel)
    except ChannelFault as fault:
        refused = fault.resolution is Resolution.REAUTHENTICATE
        return _Answer(str(fault), CREDENTIALS if refused else "the channel is away or has changed: try again", refused)
    except SettingsError as error:
        return _Answer(str(error), CREDENTIALS, True)
    except KeyError:
        return _Answer("not in channels.toml", "describe it in channels.toml, as it was")
    return _Answer("can be read")


def _clock(ahead: float | None) -> str:
    if ahead is None:
        return "not told"
    return "agrees" if abs(ahead) < 1 else f"{abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}"


def _silent(told_at: datetime | None, sold_at: datetime | None) -> bool:
    return sold_at is not None and (told_at is None or sold_at - told_at > QUIET)


def _told(runtime: Runtime, code: str, at: datetime | None) -> str:
    if not runtime.expects_notices(code):
        return "not set up"
    return "never" if at is None else f"last {at:%Y-%m-%d %H:%M} UTC"
