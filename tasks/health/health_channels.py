"""The sections about the channels: failed syncs, sync gap, cancellations, budgets."""

from inventory.health.health_figures import Health
from inventory.health.health_sync import NEAR, failed_rate
from inventory.words import ChannelMode
from tasks.health.health_section import Section
from tasks.health.health_words import State, judged, moment, number, percent, seconds

ENOUGH_ORDERS = 20
"""Of fewer a share of cancellations is no more than a warning."""
ENOUGH = 50
"""Numbers sent to one channel, of which a rate says something."""


def failed(health: Health) -> Section:
    rate = failed_rate(health.channels)
    sent = sum(one.sent for one in health.channels)
    ordered = sorted(health.channels, key=lambda one: (-(one.failed / one.sent if one.sent else 0), one.channel))
    bad = sum(one.failed for one in health.channels)
    most = f", the most of {ordered[0].channel} ({percent(ordered[0].failed / ordered[0].sent)})" if bad else ""
    said = f"{bad:,} of {sent:,} numbers sent in 24 hours were refused or never answered{most}."
    dark = [one.channel for one in health.channels if one.dark_since and one.mode == ChannelMode.LIVE]
    rates = [one.failed / one.sent for one in health.channels if one.sent >= ENOUGH]
    # One channel that fails is not made good by three that do not.
    state = max(judged(one, health.targets.failed_warning, health.targets.failed_critical) for one in (rate, *rates))
    if dark:
        said += f" Dark: {', '.join(dark)}."
        state = State.CRITICAL
    return Section(
        "failed-syncs",
        "Failed syncs",
        state,
        percent(rate, 2),
        said if sent or dark else "Nothing was sent in 24 hours.",
        [
            {
                "channel": one.channel,
                "state": _channel_state(one.mode, one.dark_since is not None, one.paused_by),
                "failed": percent(one.failed / one.sent, 2) if one.sent else "–",
                "sent": number(one.sent),
                "confirmed": number(one.confirmed),
                "refused": number(one.rejected),
                "never answered": number(one.unconfirmed),
                "overtaken by a sale": number(one.overtaken),
                "orders read": moment(one.pulled_at),
                "last confirmed": moment(one.confirmed_at),
            }
            for one in ordered
        ],
        "failed syncs",
    )  # fmt: skip


def _channel_state(mode: str, dark: bool, paused_by: str) -> str:
    return mode + (", dark" if dark else "") + (f", paused by {paused_by}" if paused_by else "")


def gaps(health: Health) -> Section:
    whole = health.gaps[0]
    targets = health.targets
    longest = max(whole.p95 or 0.0, whole.waiting_for or 0.0) if whole.orders or whole.waiting else None
    state = judged(longest, targets.gap_warning.total_seconds(), targets.gap_critical.total_seconds())
    told = (
        f"Of {whole.orders:,} orders in 24 hours every other channel knew after {seconds(whole.p50)} (half of them), "
    )
    told += f"{seconds(whole.p95)} (nineteen in twenty), {seconds(whole.longest)} (all)."
    if whole.waiting:
        told += f" {whole.waiting:,} wait, the oldest for {seconds(whole.waiting_for)}."
    rows = sorted(health.gaps[1:], key=lambda one: (-(one.waiting_for or 0), -(one.p95 or 0), one.channel))
    return Section(
        "sync-gap",
        "Sync gap",
        state,
        seconds(whole.p95),
        told if longest is not None else "No orders in 24 hours.",
        [
            {
                "sold on": one.channel,
                "orders": number(one.orders),
                "half": seconds(one.p50),
                "19 in 20": seconds(one.p95),
                "99 in 100": seconds(one.p99),
                "longest": seconds(one.longest),
                "waiting": number(one.waiting),
                "for": seconds(one.waiting_for),
            }
            for one in rows
        ],
        "sync gap",
    )


def cancellations(health: Health) -> Section:
    limited = [one for one in health.cancellations if one.used is not None]
    used = max((one.used or 0.0 for one in limited), default=None)
    top = limited[0] if limited else None
    said = "No channel with a limit took orders."
    if top is not None:
        said = f"{top.channel} is at {percent(top.share, 2)} in {top.days} days, with {percent(top.limit)} allowed."
    state = judged(used, health.targets.cancelled_warning, 1.0)
    if not any((one.used or 0) >= 1 and one.orders >= ENOUGH_ORDERS for one in limited):
        state = min(state, State.WARNING)
    return Section(
        "cancellations",
        "Cancellations",
        state,
        percent(top.share, 2) if top else "–",
        said,
        [
            {
                "channel": one.channel,
                "cancelled": percent(one.share, 2),
                "allowed": percent(one.limit),
                "of the limit": percent(one.used, 0),
                "orders": number(one.orders),
                "cancelled by us": number(one.cancelled),
                "out of stock": number(one.out_of_stock),
                "days": str(one.days),
                "source": one.source,
            }
            for one in health.cancellations
        ],
        "cancelled",
    )


def patterns(health: Health) -> Section | None:
    if not health.patterns:
        return None
    rows = [
        {
            "by": one.by,
            "which": one.subject,
            "orders": number(one.orders),
            "of all cancelled": percent(one.share, 0),
            "pieces": number(one.pieces),
            "out of stock": number(one.out_of_stock),
        }
        for one in health.patterns
    ]
    return Section("cancellation-pattern", "Where cancellations come from", State.FINE, "",
                   "Orders of the last 28 days that the seller cancelled, by one thing at a time.", rows)  # fmt: skip


def budgets(health: Health) -> Section:
    used = max((one.most / one.limit for one in health.budgets if one.limit and one.most is not None), default=0.0)
    top = health.budgets[0] if health.budgets else None
    said = f"{sum(one.published for one in health.budgets):,} numbers were sent in 24 hours."
    if top is not None and top.limit:
        said += (
            f" {top.channel}: its most revised listing has {top.most} of {top.limit} revisions of the day behind it, "
        )
        said += f"{top.near:,} have {percent(NEAR, 0)} or more."
    return Section(
        "api-budget",
        "API budget",
        judged(used, health.targets.revisions_warning, 1.0),
        percent(used, 0),
        said,
        [
            {
                "channel": one.channel,
                "sent in 24 h": number(one.published),
                "busiest hour": number(one.busiest_hour),
                "revisions a listing a day": number(one.limit),
                "most revised today": "–" if one.most is None else f"{one.most:,}",
                "which": one.most_ref,
                "near the limit": number(one.near),
            }
            for one in health.budgets
        ],
        "published",
    )
