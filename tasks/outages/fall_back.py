"""One look of the fallback: how is every source, what does the ladder say, and what is turned back.

What is decided is committed before a switch is turned, and a switch that was to be turned is turned by the next look:
a process may die anywhere in it.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from adapters.database import in_transaction
from adapters.wakeups import PUBLISH, wake
from inventory.channels import channel_state
from inventory.incidents import NewIncident, open_incidents, resolve_incidents
from inventory.outages import darkness, fallback_store, health_store
from inventory.outages.ageing import aged_percent, mark_location
from inventory.outages.fallback_settings import Fallback
from inventory.outages.fallback_store import DOWN, Switch, Taken
from inventory.outages.health_store import Seen
from inventory.outages.ladder import Decision, Trouble, climb, risk_of
from inventory.outages.outage_words import HealthState, LadderStep, SourceKind
from inventory.outages.source_health import FAULTS, Health, next_health
from inventory.words import IncidentKind, PauseStatus, Severity
from tasks.outages.fallback_report import Looked, Source, in_words, steps_down, where
from tasks.outages.switches import lift_ours, pause_ours
from tasks.runtime import Runtime

_LIMITED = (HealthState.DARK, HealthState.PAUSED, HealthState.RECOVERING)
"""States in which a channel is raised to its stage only: who comes back finds the first one in place."""


class _DryRun(Exception):
    """Ends the transaction of a dry run, so that nothing of it is kept."""


def look(runtime: Runtime, *, channel: str = "", dry_run: bool = False) -> Looked:
    """`channel`: only this one (raises UnknownChannel), and neither locations nor suppliers. `dry_run`: nothing is
    written and no switch is turned."""
    kept: list[Looked] = []

    def work(connection: Connection) -> Looked:
        looked = _assess(connection, [channel] if channel else [], runtime.now())
        if dry_run:
            looked.dry_run = True
            kept.append(looked)
            raise _DryRun
        return looked

    try:
        looked = in_transaction(runtime.engine, work)
    except _DryRun:
        return kept[-1]
    if looked.changed:
        wake(runtime.engine, PUBLISH)
    for code, why in looked.to_pause:
        looked.turned.append(pause_ours(runtime, code, why))
    for code in looked.to_lift:
        looked.turned.append(lift_ours(runtime, code))
    return looked


def _assess(connection: Connection, channels: Collection[str], now: datetime) -> Looked:
    # One look at a time: two would take the same step twice as far.
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('outage fallback', 0))"))
    for code in channels:
        channel_state(connection, code)
    settings = fallback_store.settings_in_force(connection)
    darkness.notice(connection, now=now)
    looked = Looked(now)
    before = health_store.healths(connection, SourceKind.CHANNEL)
    for code, seen in health_store.see_channels(connection, (), now=now).items():
        was = before.get(code) or Health.new(now)
        after = next_health(
            was, seen.evidence, now=now, calm=settings.calm, stages=len(settings.raises),
            stage_length=settings.stage_length,
        )  # fmt: skip
        looked.sources.append(Source(SourceKind.CHANNEL, code, after, seen, was.state))
        health_store.keep(connection, SourceKind.CHANNEL, code, was, after, seen.evidence, now=now)
    _ladder(connection, looked, settings, channels)
    looked.went_dark = [
        one.subject
        for one in looked.sources
        if one.health.state is HealthState.DARK and one.was is not HealthState.DARK
    ]
    if channels:
        # All were judged, for the risk of one depends on the others; of one is told.
        looked.sources = [one for one in looked.sources if one.subject in channels]
        looked.to_pause = [one for one in looked.to_pause if one[0] in channels]
        looked.to_lift = [one for one in looked.to_lift if one in channels]
    else:
        _others(connection, looked, settings)
    return looked


def _ladder(connection: Connection, looked: Looked, settings: Fallback, only: Collection[str]) -> None:
    """`only`: channels for which something may be done (none named: for all)."""
    now = looked.now
    by_code = {one.subject: one for one in looked.sources}
    for source in looked.sources:
        _turn_of_state(connection, source, settings, now)
    steps = fallback_store.open_steps(connection)
    switches = fallback_store.own_switches(connection)
    writable = fallback_store.writable(connection)
    troubles = [
        trouble_of(one, steps.get(code, []), switches.get(code, Switch()), writable, settings, now)
        for code, one in by_code.items()
        if _is_trouble(one)
    ]
    well = sorted(code for code in writable if by_code[code].health.state in (HealthState.LIVE, HealthState.RECOVERING))
    market = fallback_store.market_at_stake(connection, [one.channel for one in troubles], now=now)
    for trouble, decision in climb(troubles, market, well, settings):
        source = by_code[trouble.channel]
        source.risk = decision.before
        source.units = sum(stake.at_stake(trouble.channel) for stake in market.values())
        mine = steps.get(trouble.channel, [])
        if only and trouble.channel not in only:
            continue
        if decision.step is not LadderStep.NOTHING and _is_patient(mine, settings, now):
            source.step = decision.step
            fallback_store.take(connection, decision, source.health.cause, now=now)
        _tell(connection, source, trouble, decision, mine, settings, now)
    steps = fallback_store.open_steps(connection)
    for code, source in by_code.items():
        source.doing = in_words(steps.get(code, []))
        _switches(connection, looked, source, steps.get(code, []), switches.get(code, Switch()), settings)


def _is_trouble(source: Source) -> bool:
    state = source.health.state
    return state is HealthState.DARK or (state is HealthState.DEGRADED and _cannot_be_lowered(source))


def _cannot_be_lowered(source: Source) -> bool:
    evidence = source.seen.evidence
    return evidence.refused or any(evidence.faults.get(call, 0) >= FAULTS for call in ("read", "write"))


def trouble_of(
    source: Source, steps: list[Taken], switch: Switch, writable: set[str], settings: Fallback, now: datetime
) -> Trouble:
    """How the ladder sees it. Its switch may be turned when the trouble lasts, and not soon after we turned it back."""
    last = source.seen.last_at if source.health.state is HealthState.DARK else None
    lasted = now - source.health.since
    apart = timedelta(minutes=settings.pause_apart_minutes)
    return Trouble(
        source.subject,
        now - last if last is not None else lasted,
        source.seen.evidence.answers and source.subject in writable,
        lasted >= timedelta(minutes=settings.pause_after_minutes)
        and (switch.lifted_at is None or now - switch.lifted_at >= apart),
        sum(one.step is LadderStep.HIDE for one in steps),
        min((one.percent for one in steps if one.step is LadderStep.THROTTLE), default=100),
    )


def _is_patient(steps: list[Taken], settings: Fallback, now: datetime) -> bool:
    """The last step has had its time to show an effect."""
    last = max((one.began_at for one in steps if one.step in DOWN), default=None)
    return last is None or now - last >= timedelta(minutes=settings.patience_minutes)


def _turn_of_state(connection: Connection, source: Source, settings: Fallback, now: datetime) -> None:
    """What follows from the state alone."""
    state, code = source.health.state, source.subject
    stage = source.health.stage if state is HealthState.RECOVERING else 0
    limited = state in _LIMITED and stage < len(settings.raises)
    fallback_store.raise_to(
        connection, code, settings.raises[stage] if limited else None, source.health.cause or state.value, now=now
    )
    if source.was is HealthState.PAUSED and state is not HealthState.PAUSED:
        fallback_store.end_steps(connection, code, [LadderStep.PAUSE], now=now)
    if state in (HealthState.RECOVERING, HealthState.LIVE) or (
        state is HealthState.DEGRADED and not _cannot_be_lowered(source)
    ):
        fallback_store.end_steps(connection, code, DOWN, now=now)
        resolve_incidents(connection, IncidentKind.FALLBACK, [code], now=now)
    if state is HealthState.DARK and source.was is not HealthState.DARK:
        message = f"{code} was not read for longer than its interval allows; nothing is raised there until it is"
        opened = NewIncident(IncidentKind.CHANNEL_DARK, Severity.CRITICAL, code, message)
        open_incidents(connection, [opened], now=now)


def _tell(
    connection: Connection, source: Source, trouble: Trouble, decision: Decision, steps: list[Taken],
    settings: Fallback, now: datetime,
) -> None:  # fmt: skip
    """One incident a channel. It is written again when there is something new to say."""
    beyond = risk_of(trouble, decision.market, settings) > settings.limit
    done = source.step is not LadderStep.NOTHING
    if not (done or steps_down(steps) or not trouble.answers or beyond):
        return
    known = connection.execute(
        text("SELECT count(*) FROM incident WHERE status = 'open' AND kind = :kind AND subject = :subject"),
        {"kind": IncidentKind.FALLBACK.value, "subject": source.subject},
    ).scalar_one()
    if known and not done:
        return
    said = [f"{source.subject} is {source.health.state.value}: {source.health.cause}"]
    if not trouble.answers:
        shown = connection.execute(
            text("SELECT coalesce(sum(exposure), 0) FROM listing WHERE channel = :code"), {"code": source.subject}
        ).scalar_one()
        said.append(f"it cannot be written to now; the {shown} units that it shows count as sold until it is read")
    said.append(
        f"{source.units} units are at stake, a risk of {decision.before:.1f} against a limit of {settings.limit:g}"
    )
    if done:
        said.append(f"now: {decision.step.value} {where(decision)}, which leaves {decision.after:.1f}")
    elif beyond:
        said.append("no step of the ladder brings it below the limit now")
    detail = {"step": source.step.value, "risk": round(decision.before, 2), "after": round(decision.after, 2),
              "runbook": f"onhand runbook {source.subject}"}  # fmt: skip
    severity = Severity.CRITICAL if done or beyond else Severity.WARNING
    message = ". ".join(one[0].upper() + one[1:] for one in said) + f". See onhand runbook {source.subject}"
    open_incidents(connection, [NewIncident(IncidentKind.FALLBACK, severity, source.subject, message, detail)], now=now)


def _switches(
    connection: Connection,
    looked: Looked,
    source: Source,
    steps: list[Taken],
    switch: Switch,
    settings: Fallback,
) -> None:
    """Ours only. A pause that is wanted and not there, as after a process died, is turned now."""
    wanted = any(one.step is LadderStep.PAUSE for one in steps)
    calmed = source.health.good_since is not None and looked.now - source.health.good_since >= settings.calm
    if switch.started_at is None:
        if wanted and source.health.state is HealthState.PAUSED:
            # Somebody else's: it needs none of ours any more.
            fallback_store.end_steps(connection, source.subject, [LadderStep.PAUSE], now=looked.now)
        elif wanted:
            looked.to_pause.append((source.subject, source.health.cause))
        return
    long_enough = looked.now - switch.started_at >= timedelta(minutes=settings.pause_least_minutes)
    if calmed and (long_enough or switch.status != PauseStatus.PAUSED):
        looked.to_lift.append(source.subject)
    elif switch.status != PauseStatus.PAUSED and wanted:
        looked.to_pause.append((source.subject, source.health.cause))


def _others(connection: Connection, looked: Looked, settings: Fallback) -> None:
    """Locations and suppliers: no ladder, but what is not confirmed loses weight."""
    now = looked.now
    percents = health_store.percents(connection)
    kinds: Mapping[SourceKind, dict[str, Seen]] = {
        SourceKind.LOCATION: health_store.see_locations(connection, now=now),
        SourceKind.SUPPLIER: health_store.see_suppliers(connection, now=now),
    }
    for kind, found in kinds.items():
        before = health_store.healths(connection, kind)
        for subject, seen in found.items():
            was = before.get(subject) or Health.new(now)
            # A new snapshot says all there is to know: no stages.
            after = next_health(was, seen.evidence, now=now, calm=timedelta(0), stages=0, stage_length=timedelta(0))
            source = Source(kind, subject, after, seen, was.state)
            if kind is SourceKind.LOCATION and seen.last_at is not None and seen.every is not None:
                source.percent = aged_percent(now - seen.last_at, seen.every, settings)
                source.doing = f"{source.percent} % of its stock is not shown" if source.percent else ""
            health_store.keep(connection, kind, subject, was, after, seen.evidence, now=now, percent=source.percent)
            if kind is SourceKind.LOCATION and source.percent != percents.get(subject, 0):
                mark_location(connection, subject, now=now)
            _tell_of_source(connection, source, now)
            looked.sources.append(source)


def _tell_of_source(connection: Connection, source: Source, now: datetime) -> None:
    subject = f"{source.kind.value}/{source.subject}"
    if source.health.state is not HealthState.DARK:
        resolve_incidents(connection, IncidentKind.SOURCE_DARK, [subject], now=now)
    elif source.was is not HealthState.DARK and source.seen.last_at is not None:
        message = (
            f"nothing was heard of {source.kind.value} {source.subject} since "
            f"{source.seen.last_at:%Y-%m-%d %H:%M} UTC, longer than its own interval allows"
        )
        opened = NewIncident(IncidentKind.SOURCE_DARK, Severity.WARNING, subject, message)
        open_incidents(connection, [opened], now=now)
