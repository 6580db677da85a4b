"""Plays a drill and tells it: when, what happened, what onhand did about it, and the figures."""

from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection, text

from inventory.outages.ageing import note_location_read
from onhand.simulation.drill_book import Beat, Drill
from onhand.simulation.ground import Ground
from onhand.simulation.playing import WAREHOUSE, Play
from onhand.simulation.scenario import clock
from onhand.simulation.world import BEGIN


@dataclass(frozen=True)
class Row:
    time: str
    happened: str
    did: str
    shown: dict[str, int]
    """Units of the hero that each channel shows."""
    sellable: int
    sold: int
    wanted: int
    """Units that shoppers had asked for by then."""


@dataclass
class Told:
    title: str
    rows: list[Row] = field(default_factory=list)
    violation: str = ""
    verdict: list[str] = field(default_factory=list)


@dataclass
class _Before:
    """What was known at the last row."""

    lowered: int = 0
    raised: int = 0
    events: int = 0
    incidents: frozenset[tuple[str, str]] = frozenset()


class Rehearsal:
    """One drill on the ground."""

    def __init__(self, drill: Drill, ground: Ground) -> None:
        self.drill, self.ground = drill, ground
        ground.sweep()
        self.play = Play(drill.scenario, ground)
        self.told = Told(drill.title)
        self.before = _Before()

    def run(self) -> Told:
        world, drill = self.play.world, self.drill
        ends = [beat.at for beat in drill.beats[1:]] + [max(one.at for one in drill.scenario.happenings) + 30]
        for beat, end in zip(drill.beats, ends, strict=True):
            world.later(end - 0.5, self._telling(beat))
        if drill.confirmed_every:
            at = 60.0
            while at < drill.silent_from:
                world.later(at, self._confirm)
                at += drill.confirmed_every
        try:
            self.play.run()
        except Exception as error:
            self.told.violation = f"{type(error).__name__}: {error}"
        self._judge()
        return self.told

    def _telling(self, beat: Beat) -> "_Telling":
        return _Telling(self, beat)

    def tell(self, beat: Beat) -> None:
        play, hero = self.play, self.drill.hero
        with play.steps.aside(), play.engine.connect() as connection:
            did = self._did(connection)
            sellable = connection.execute(
                text("SELECT coalesce(sum(quantity), 0) FROM balance WHERE state = 'available' AND sku = :sku"),
                {"sku": hero},
            ).scalar_one()
        shown = {
            code: sum(units for ref, units in shop.on_sale().items() if shop.offers[shop.refs[ref]].sku == hero)
            for code, shop in play.shops.items()
        }
        wanted = sum(
            units for one in self.drill.scenario.happenings if one.at <= play.world.seconds
            for product, units in getattr(one, "lines", ()) if product == hero
        )  # fmt: skip
        sold = play.truth.consumed[hero]
        self.told.rows.append(Row(clock(beat.at), beat.what, did, shown, int(sellable), sold, wanted))

    def _did(self, connection: Connection) -> str:
        done, before = self.play.company.done, self.before
        said = []
        if done.lowered > before.lowered or done.raised > before.raised:
            said.append(f"lowered {done.lowered - before.lowered} numbers, raised {done.raised - before.raised}")
        rows = connection.execute(text("SELECT kind, subject FROM incident WHERE status = 'open'"))
        incidents = frozenset((row.kind, row.subject) for row in rows)
        for kind, subject in sorted(incidents - before.incidents):
            said.append(f"told a person: {kind.replace('_', ' ')} ({subject})")
        for kind, subject in sorted(before.incidents - incidents):
            said.append(f"closed: {kind.replace('_', ' ')} ({subject})")
        states = connection.execute(
            text("SELECT subject, state FROM source_health WHERE state <> 'live' ORDER BY kind, subject")
        )
        said += [f"{row.subject} is {row.state}" for row in states]
        aged = connection.execute(text("SELECT subject, percent FROM source_health WHERE percent > 0"))
        said += [f"shows {row.percent} % less of {row.subject}" for row in aged]
        steps = connection.execute(
            text("SELECT channel, step, count(*) AS times FROM fallback_step WHERE ended_at IS NULL GROUP BY 1, 2")
        )
        said += [f"{row.step} at {row.channel}" for row in steps]
        self.before = _Before(done.lowered, done.raised, 0, incidents)
        return "; ".join(said) or "nothing had to be done"

    def _confirm(self) -> None:
        """A snapshot of the warehouse was believed."""
        with self.play.steps.aside(), self.play.engine.begin() as connection:
            taken = BEGIN + timedelta(seconds=self.play.world.seconds)
            note_location_read(connection, [WAREHOUSE], taken_at=taken)

    def _judge(self) -> None:
        play, hero = self.play, self.drill.hero
        orders = sum(len(shop.shop.orders) for shop in play.shops.values())
        had, sold = play.truth.stock[hero], play.truth.consumed[hero]
        self.told.verdict = [
            f"{orders} orders; of {had} {hero} {sold} were sold, {had - sold} are left",
            f"{len(play.truth.oversold)} units oversold",
            self.told.violation or "every order is in the ledger once, every balance is proved, every number is live",
        ]


@dataclass(frozen=True)
class _Telling:
    rehearsal: Rehearsal
    beat: Beat

    def __call__(self) -> None:
        self.rehearsal.tell(self.beat)


def rehearse(drill: Drill, ground: Ground) -> Told:
    return Rehearsal(drill, ground).run()
