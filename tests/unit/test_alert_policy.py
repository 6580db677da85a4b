"""When who is told: the ladder of each severity, routes, groups."""

from datetime import UTC, datetime, timedelta

import pytest

from inventory.alerting.alert_kinds import Owner
from inventory.alerting.alert_policy import BURST, LADDERS, SINGLY, Known, Occasion, Target, Told, decide, draft
from inventory.alerting.alert_text import Fact, Links, clock, compose, length, plain
from inventory.words import IncidentKind, Severity

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ALL = Target("all")


def known(minutes: float, severity: Severity = Severity.CRITICAL, **more: object) -> Known:
    facts = {"id": 1, "kind": IncidentKind.OVERSOLD.value, "subject": "SKU-1", "is_open": True, **more}
    return Known(severity=severity, opened_at=NOW - timedelta(minutes=minutes), **facts)  # type: ignore[arg-type]


def told(minutes_ago: float, level: int = 0, *, arrived: bool = True) -> Told:
    moment = NOW - timedelta(minutes=minutes_ago)
    return Told(level, moment, moment if arrived else None)


@pytest.mark.parametrize(
    ("incident", "before", "occasion"),
    [
        (known(0), None, Occasion.OPENED),
        (known(1, Severity.WARNING), None, None),
        (known(2, Severity.WARNING), None, Occasion.OPENED),
        (known(14, Severity.INFO), None, None),
        (known(15, Severity.INFO), None, Occasion.OPENED),
        (known(29), told(29), None),
        (known(30), told(30), Occasion.ESCALATED),
        (known(31), told(1, level=1), None),
        (known(121), told(91, level=1), Occasion.ESCALATED),
        (known(300), told(239, level=2), None),
        (known(300), told(240, level=2), Occasion.REMINDER),
        # What has not arrived is not written again.
        (known(300), told(290, arrived=False), None),
        (known(5000, Severity.INFO), told(4000), None),
        (known(60, is_open=False), told(50), Occasion.RESOLVED),
        (known(60, is_open=False), told(50, arrived=False), None),
        (known(60, is_open=False), None, None),
        (known(60, Severity.INFO, is_open=False), told(50), None),
        (known(60), Told(0, NOW, NOW, is_closed=True), None),
        (known(1, flaps=3), None, None),
        (known(15, flaps=3), None, Occasion.OPENED),
    ],
)
def test_what_a_target_is_told(incident: Known, before: Told | None, occasion: Occasion | None) -> None:
    assert decide(incident, before, ALL, NOW) == occasion


def test_who_is_told() -> None:
    shelf = Target("shelf", owners=frozenset({Owner.WAREHOUSE}))
    boss = Target("boss", from_level=2, least=Severity.CRITICAL)
    assert decide(known(5), None, shelf, NOW) is None
    assert decide(known(5, kind=IncidentKind.UNIT_NOT_FOUND.value), None, shelf, NOW) is Occasion.OPENED
    assert decide(known(119), None, boss, NOW) is None
    assert decide(known(120), None, boss, NOW) is Occasion.ESCALATED
    assert decide(known(9000, Severity.WARNING), None, boss, NOW) is None
    assert decide(known(9000, kind=IncidentKind.NOT_TOLD.value, subject="boss"), None, boss, NOW) is None


def test_every_severity_has_a_ladder_that_rises() -> None:
    assert set(LADDERS) == set(Severity)
    for ladder in LADDERS.values():
        assert list(ladder.steps) == sorted(ladder.steps)
        assert all(ladder.grace < step for step in ladder.steps)


@pytest.mark.parametrize("count", [1, SINGLY, SINGLY + 1, 40])
def test_many_of_a_kind_are_one_message(count: int) -> None:
    decided = [(known(5, id=number), Occasion.OPENED, None) for number in range(count)]
    drafts = draft(ALL, decided, {}, NOW)
    assert sorted(key for one in drafts for key in one.levels) == list(range(count))
    assert len(drafts) == (count if count <= SINGLY else 1)
    assert len({one.dedupe_key for one in drafts}) == len(drafts)
    # The same decision twice has the same keys; a burst makes the next ones wait.
    assert [one.dedupe_key for one in draft(ALL, decided[::-1], {}, NOW)] == [one.dedupe_key for one in drafts]
    assert draft(ALL, decided, {"oversold": BURST}, NOW) == []


def fact(number: int = 1, **more: object) -> Fact:
    facts = {"subject": f"SKU-{number}", "message": "one sold that does not exist", "times": 1, "is_open": True, **more}
    opened = NOW - timedelta(minutes=90)
    return Fact(number, "oversold", severity=Severity.CRITICAL, opened_at=opened, last_at=NOW, **facts)  # type: ignore[arg-type]


def test_the_text_says_what_a_person_needs() -> None:
    words = plain(
        compose(
            Occasion.OPENED,
            [fact(at_risk="4 units sold that do not exist", times=3, detail={"flow_run_id": "ab-1"})],
            Links("https://prefect.test/v2", "https://docs.test/runbooks"),
            key="k",
            now=NOW,
            repeated=True,
        )
    )
    for part in (
        "Oversold: SKU-1",
        "Critical · owner: operations",
        "SKU-1: one sold that does not exist",
        "since 10:30 UTC (1 h 30 min), seen 3 times",
        "at risk: 4 units sold that do not exist",
        "Done already: The order is recorded",
        "To do: Find the units",
        "Runbook: https://docs.test/runbooks#oversold",
        "Prefect: https://prefect.test/v2/runs/flow-run/ab-1",
        "may be told twice",
    ):
        assert part in words


def test_a_long_list_names_the_worst_and_counts_the_rest() -> None:
    text = compose(Occasion.REMINDER, [fact(n, units=n) for n in range(25)], Links(), key="k", now=NOW)
    assert text.headline == "Open for 1 h 30 min: Oversold: 25 at once"
    assert [entry.subject for entry in text.entries] == [f"SKU-{n}" for n in range(24, 14, -1)]
    assert text.left_out == 15
    assert text.prefect == ""
    assert text.runbook == "docs/runbooks.md#oversold"
    ended = compose(Occasion.RESOLVED, [fact(is_open=False)], Links(), key="k", now=NOW)
    assert (ended.to_do, ended.entries[0].since) == ("", "10:30 UTC to 12:00 UTC (1 h 30 min)")


def test_times_are_readable() -> None:
    spans = [
        timedelta(seconds=59),
        timedelta(minutes=59),
        timedelta(hours=2),
        timedelta(days=3, hours=4),
        timedelta(days=4),
    ]
    assert [length(span) for span in spans] == ["0 min", "59 min", "2 h", "3 d 4 h", "4 d"]
    assert clock(NOW - timedelta(days=1), NOW) == "2026-11-19 12:00 UTC"
