"""What to do when a channel is dark, written from what holds for it now: policy, interval, settings of the ladder.

Markdown, for a terminal, an artifact or a wiki. Generated, so that it cannot be out of date.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from inventory.channels import channel_state
from inventory.outages.darkness import GRACE, MISSED
from inventory.outages.fallback_settings import Fallback
from inventory.outages.pauses import open_pauses
from inventory.outside_text import in_markdown
from inventory.policies.policy_file import STRICT_FOR_ALL, parse_policy_file
from inventory.policies.policy_store import in_force


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one channel, at one moment."""

    channel: str
    vendor: str
    at: datetime
    mode: str
    compare_and_set: bool
    asks_first: bool
    every: timedelta | None
    """Between two pulls. None: it was read once at most."""
    policies: tuple[tuple[str, str], ...]
    """(class of items, what holds for it)"""
    strict: bool
    """For everything that it lists."""
    version: str
    settings: Fallback
    shown: int
    """Units that it may have sold unseen or may still sell."""
    state: str
    since: datetime | None
    cause: str
    last_known: datetime | None
    open_now: tuple[str, ...]
    """Pauses and steps that hold now, in words."""


def facts(connection: Connection, channel: str, *, now: datetime) -> Facts:
    """Raises UnknownChannel."""
    state = channel_state(connection, channel)
    row = connection.execute(
        text(
            """
            SELECT vendor, write_mode, asks_first, pulls_every, health.state, health.since, health.cause,
                   (SELECT coalesce(sum(exposure), 0) FROM listing WHERE listing.channel = code) AS shown,
                   (SELECT array_agg(DISTINCT item_class ORDER BY item_class)
                    FROM listing JOIN item ON item.sku = listing.sku WHERE listing.channel = code) AS classes,
                   (SELECT array_agg(CASE WHEN step = 'pause' THEN 'paused by onhand' WHEN sku = ''
                                          THEN step || ' to ' || percent || ' % on ' || on_channel
                                          ELSE step || ' ' || sku || ' on ' || on_channel END ORDER BY id)
                    FROM fallback_step WHERE fallback_step.channel = code AND ended_at IS NULL) AS steps
            FROM channel LEFT JOIN source_health AS health ON kind = 'channel' AND subject = code
            WHERE code = :code
            """
        ),
        {"code": channel},
    ).one()
    newest = in_force(connection)
    file = parse_policy_file(newest.content) if newest is not None else STRICT_FOR_ALL
    terms = [(name, file.terms(channel, name, now)) for name in row.classes or [""]]
    pauses = [
        f"off sale by {one.owner} ({in_markdown(one.actor)}: {in_markdown(one.reason)})"
        for one in open_pauses(connection, [channel])
    ]
    return Facts(
        channel, row.vendor, now, state.mode.value, row.write_mode == "compare_and_set", row.asks_first,
        None if row.pulls_every is None else timedelta(seconds=row.pulls_every),
        tuple((name or "without a class", one.label) for name, one in terms),
        all(one.policy.text == "strict" for _, one in terms),
        f"version {newest.version} ({newest.content_hash[:8]})" if newest is not None else "strict for everything",
        file.fallback, int(row.shown), row.state or "not looked at yet", row.since, row.cause or "", state.pulled_at,
        (*pauses, *(row.steps or ())),
    )  # fmt: skip


def runbook(known: Facts, what: str, costs: str, by_hand: str) -> str:
    """`what`, `costs` and `by_hand` are sentences about the channel's fastest switch."""
    sections = [
        [f"# When {known.channel} is dark", _head(known)],
        ["## Now", *_now(known)],
        ["## How you notice", *_noticed(known)],
        ["## What onhand does, and when", *_numbered(_ladder(known))],
        ["## Its switch", f"- onhand turns: {what}", f"- It takes: {costs}", f"- By hand: {by_hand}"],
        ["## What you do", *_numbered(_to_do(known))],
        ["## The way back", *_numbered(_way_back(known))],
    ]
    return "\n\n".join("\n".join([section[0], "", *section[1:]]) for section in sections) + "\n"


def _numbered(lines: Sequence[str]) -> list[str]:
    return [f"{number}. {line}" for number, line in enumerate(lines, 1)]


def _head(known: Facts) -> str:
    return (
        f"Written {known.at:%Y-%m-%d %H:%M} UTC from the policy in force ({known.version}) by "
        f"`onhand runbook {known.channel}`. Vendor {known.vendor}, mode {known.mode}."
    )


def _now(known: Facts) -> list[str]:
    since = f" since {known.since:%Y-%m-%d %H:%M} UTC" if known.since else ""
    last = f"{known.last_known:%Y-%m-%d %H:%M} UTC" if known.last_known else "never"
    lines = [f"- It is {known.state}{since}" + (f": {known.cause}." if known.cause else ".")]
    lines.append(f"- Its orders were last read to the end at: {last}.")
    lines.append(f"- It may have sold unseen, or may still sell: {known.shown} units.")
    return [*lines, *(f"- In force: {one}." for one in known.open_now)]


def _noticed(known: Facts) -> list[str]:
    if known.every is None:
        allowed = "It was not read twice yet, so nobody knows its interval: it is never called dark."
    else:
        seconds = (MISSED * known.every).total_seconds() + GRACE
        allowed = (
            f"It is read every {_long(known.every)} or so. Without a complete pull for "
            f"{_long(timedelta(seconds=seconds))} it is dark: incident `channel_dark`."
        )
    return [
        f"- {allowed}",
        "- Three calls of a kind failed in a row, or it refuses our credentials: it is degraded.",
        "- Its webhooks do not tell of what polling finds: incident `webhook_gap`.",
    ]


def _ladder(known: Facts) -> list[str]:
    terms, code = known.settings, known.channel
    penalty = terms.penalty_of(code)
    holds = "; ".join(f"{name}: {label}" for name, label in known.policies)
    lines = [f"Shrink, at once and by itself. What holds here: {holds}."]
    if known.asks_first:
        lines.append("It asks before it sells: dark, it sells nothing, and nothing else is needed.")
        return lines
    if known.strict:
        lines.append(
            "All that it shows is backed by stock that nobody else may sell: you are told, and no more is needed."
        )
    lines.append(
        f"Risk = units shown beyond what there is × {penalty:g} (an oversold unit here) × how long it is dark, in full "
        f"after {_minutes(terms.full_after_minutes)}. Up to {terms.limit:g} it is borne."
    )
    where = "here while it answers, else on the others"
    lines.append(f"Above that: hide the riskiest SKUs, at most {terms.hide_at_most}, {where}.")
    if terms.throttles:
        steps = ", ".join(f"{one} %" for one in terms.throttles)
        lines.append(f"Where that is not enough: throttle all that it lists, to {steps}, {where}.")
    lines.append(
        f"Where that is not enough either, after {_minutes(terms.pause_after_minutes)} and while it answers: pause it, "
        f"for {_minutes(terms.pause_least_minutes)} at least, and not again for {_minutes(terms.pause_apart_minutes)}."
    )
    lines.append("It can be neither read nor written: what it shows counts as sold until it is read again.")
    return lines


def _to_do(known: Facts) -> list[str]:
    code = known.channel
    return [
        f"Look at the last runs of `pull_channels` and `pull_channel`: does {code} refuse us, or is nobody pulling?",
        "Refused: renew the credentials (docs/credentials.md). Nobody pulling: start the worker.",
        "Away: look at the vendor's status page, and wait. A dry run of `outage_fallback` shows what is done next.",
        f"It will take long, or the risk is too high for you: `pause_channel` for {code}, or its switch by hand. "
        "A pause of yours is not lifted by onhand.",
        "Tell customer service which SKUs `onhand exposure` shows beyond what is sellable.",
    ]


def _way_back(known: Facts) -> list[str]:
    terms = known.settings
    stages = ", then ".join(f"{one} %" for one in terms.raises)
    lines = ["Its orders are read to the end before the first number is written: by itself."]
    lines.append(
        f"A pause of onhand's is lifted by itself, {_minutes(terms.calm_minutes)} after the last thing that was wrong; "
        f"one of a person's with `resume_channel`. Both compare what it shows first."
    )
    if terms.raises:
        lines.append(
            f"It is raised to {stages} of what is sellable, {_minutes(terms.raise_minutes)} each, then in full."
        )
    lines.append("Oversold lines, if any, are incidents `oversold`: decide on them before their ship-by date.")
    return lines


def _minutes(count: float) -> str:
    return _long(timedelta(minutes=count))


def _long(span: timedelta) -> str:
    seconds = round(span.total_seconds())
    if seconds < 120:
        return f"{seconds} seconds"
    return f"{seconds // 60} minutes" + (f" {seconds % 60} seconds" if seconds % 60 else "")
