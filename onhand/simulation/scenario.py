"""What happens in one seed, as plain data: it can be drawn, told, made smaller, and is played the same each time."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from inventory.words import ReversalReason


class TroubleKind(StrEnum):
    """What is wrong with a channel for a while. Each call or message is struck with a probability."""

    DARK = "channel dark"
    SLOW = "channel slow"
    THROTTLED = "429"
    ERROR_BEFORE = "error before the write"
    ERROR_AFTER = "error after the write"
    REQUEST_LOST = "request lost"
    ANSWER_LOST = "answer lost"
    APPLIED_LATE = "request applied late"
    MALFORMED = "answer cut short"
    HTML = "answer is a page of HTML"
    REPEATED = "page repeated"
    STALE_READ = "stale read"
    SILENT_REJECT = "said to be applied, and is not"
    PARTIAL = "part of a batch ignored"
    REFUSED = "writes refused"
    UNAUTHORISED = "credential refused"
    ORDER_LATE = "order visible late"
    HOOK_LOST = "webhook lost"
    HOOK_TWICE = "webhook doubled"
    HOOK_LATE = "webhook late"
    HOOK_CUT = "webhook cut short"
    HOOK_FORGED = "webhook forged"
    STANDS_STILL = "our process stands still"


class Task(StrEnum):
    """What a process of ours does."""

    PULL = "pull"
    PUBLISH = "publish"
    SWEEP = "sweep"
    NOTICED = "read what was noticed"
    WATCH = "watch"
    RECONCILE = "reconcile"
    FALL_BACK = "outage fallback"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promotion"
    DISPUTE = "dispute"
    RECEIVE = "receive goods"


@dataclass(frozen=True, slots=True)
class Buys:
    """A shopper orders (SKU, units): gets at most what is shown."""

    at: float
    channel: str
    lines: tuple[tuple[str, int], ...]

    def tell(self) -> str:
        return f"a shopper at {self.channel} wants {', '.join(f'{units} {sku}' for sku, units in self.lines)}"


@dataclass(frozen=True, slots=True)
class Cancels:
    """`which`, from 0 to 1, says which of the shop's orders. `units` 0: the whole order."""

    at: float
    channel: str
    which: float
    units: int
    reason: ReversalReason
    restock: bool

    def tell(self) -> str:
        return f"an order at {self.channel} is cancelled ({self.units or 'all'} units, restocked: {self.restock})"


@dataclass(frozen=True, slots=True)
class ForeignWrite:
    """Somebody else changes what the channel shows: takes `by` units away, or (negative) adds them."""

    at: float
    channel: str
    sku: str
    by: int

    def tell(self) -> str:
        return f"somebody else writes at {self.channel}: {self.sku} {-self.by:+}"


@dataclass(frozen=True, slots=True)
class Works:
    """A process of ours does something. `killed` n > 0: it dies at its n-th step; `cut` n > 0: the database cuts its
    connection at its n-th statement. (It does not come to that when there are fewer.)"""

    at: float
    task: Task
    channel: str = ""
    sku: str = ""
    units: int = 0
    killed: int = 0
    cut: int = 0

    def tell(self) -> str:
        faults = (f", killed at step {self.killed}" if self.killed else "") + (
            f", connection cut at statement {self.cut}" if self.cut else ""
        )
        return " ".join(filter(None, (self.task.value, self.channel, self.sku))) + faults


@dataclass(frozen=True, slots=True)
class Trouble:
    """From `at` to `until`. `amount`: seconds, where the kind has some."""

    at: float
    until: float
    kind: TroubleKind
    channel: str
    chance: float
    amount: float = 0.0

    def tell(self) -> str:
        return f"{self.channel}: {self.kind.value} until {self.until:.0f} s ({self.chance:.0%})"


@dataclass(frozen=True, slots=True)
class ClockJumps:
    """The channel's clock is so far ahead of the true one from now on."""

    at: float
    channel: str
    ahead: float

    def tell(self) -> str:
        return f"the clock of {self.channel} is {self.ahead:+.0f} s off"


@dataclass(frozen=True, slots=True)
class TokenEnds:
    """A short-lived token is refused from now on."""

    at: float
    channel: str

    def tell(self) -> str:
        return f"the token of {self.channel} has run out"


@dataclass(frozen=True, slots=True)
class ServerRestarts:
    """The database server stops and starts again."""

    at: float

    def tell(self) -> str:
        return "the database server restarts"


Happening = Buys | Cancels | ForeignWrite | Works | Trouble | ClockJumps | TokenEnds | ServerRestarts


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """`skus` that it lists; `packs`: SKU → units per listing of a second listing."""

    code: str
    vendor: str
    skus: tuple[str, ...]
    packs: Mapping[str, int]
    share: int = 1
    asks_first: bool = False
    webhooks: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    seed: int
    days: float
    stock: Mapping[str, int]
    bundle: Mapping[str, int]
    """Components of the SKU `KIT`; empty: there is none."""
    channels: tuple[ChannelPlan, ...]
    happenings: tuple[Happening, ...]
    real_gate: bool = False
    policy: str = ""
    """A policy file; empty: strict."""
    page: int = 4
    """Orders on a page of a channel."""

    def tell(self) -> list[str]:
        """What it is made of, for people."""
        sold = ", ".join(f"{units} {sku}" for sku, units in self.stock.items())
        places = ", ".join(
            f"{one.code} ({one.vendor}{', asks first' if one.asks_first else ''})" for one in self.channels
        )
        kit = f", KIT of {dict(self.bundle)}" if self.bundle else ""
        told = sorted(self.happenings, key=lambda one: one.at)
        return [f"seed {self.seed}: {sold}{kit}; {places}", *(f"{clock(one.at)} {one.tell()}" for one in told)]


KIT = "KIT"


def clock(seconds: float) -> str:
    """Virtual time as d hh:mm:ss."""
    whole = int(seconds)
    days, rest = divmod(whole, 86_400)
    return f"{days}d {rest // 3600:02}:{rest // 60 % 60:02}:{seconds % 60:04.1f}"


def size(scenario: Scenario) -> int:
    """How much there is in it: happenings, and faults of ours in them."""
    works = [one for one in scenario.happenings if isinstance(one, Works)]
    return len(scenario.happenings) + sum(bool(one.killed) + bool(one.cut) for one in works)
