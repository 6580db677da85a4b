"""The figures of the health report, on one small business in which everything goes wrong a little."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ledger_stage import START, at, business, order, reversal, rows, sell
from sqlalchemy import Connection, Engine, text

from adapters.database import in_transaction
from inventory.health.health_figures import Health, is_small, measure
from inventory.health.health_limits import LimitError, parse_limits
from inventory.health.health_samples import note_samples, trends
from inventory.health.health_sync import RevisionLimit
from inventory.incidents import NewIncident, open_incidents
from inventory.reconciling.discrepancies import Found, open_discrepancies
from inventory.words import Comparison, DiscrepancyClass, Drift, IncidentKind, ReversalReason, Severity
from onhand.command_line import run
from onhand.commands.status import show
from tasks.health.health_alarms import missed_targets, tell_targets
from tasks.health.health_causes import causes
from tasks.health.health_section import Section
from tasks.health.health_sections import sections
from tasks.health.health_words import State
from tasks.health.measure_health import HealthReport, report_health_of

NOW = at(240)
NASTY = "<script>alert('x')</script>"


def trouble(connection: Connection) -> None:
    """What a day leaves behind, put straight into the tables that other tests prove."""
    connection.execute(text("UPDATE channel SET vendor = code, mode = 'live', pulled_at = :now"), {"now": at(230)})
    connection.execute(text("UPDATE listing SET confirmed = 3, confirmed_at = :now WHERE sku = 'SHOWN'"), {"now": NOW})
    connection.execute(
        text(
            "INSERT INTO publication (listing_id, channel, sku, quantity, growth, status, policy_version, key, reason,"
            " sent_at, answered_at, confirmed_at, inputs) "
            "SELECT listing.id, listing.channel, sku, 1, 0, status, '1', '', '', :begin + number * :step, :begin, "
            "CASE status WHEN 'confirmed' THEN CAST(:begin AS timestamptz) END, '{}' "
            "FROM listing, unnest(CAST(:statuses AS text[])) WITH ORDINALITY AS given (status, number) "
            "WHERE sku = 'SHOWN'"
        ),
        {"begin": at(120), "step": timedelta(seconds=1),
         "statuses": ["confirmed"] * 17 + ["rejected", "unconfirmed", "stale", "sent"]},
    )  # fmt: skip
    connection.execute(
        text("UPDATE reservation SET synced_at = placed_at + interval '2 seconds' WHERE holder = 'order:ebay:e1'")
    )
    connection.execute(
        text(
            "INSERT INTO bin_count (sku, location, causes, prompted, abc, score, status, opened_at, due_at, counted_at,"
            " expected, variance, posted, decided_at, decided_by, decision_reason) VALUES "
            "('SHOWN', 'main', 'due', false, 'A', 1, 'matched', :at, :at, :at, 100, 0, 0, :at, '', ''), "
            "('HIDDEN', 'main', 'due', false, 'C', 1, 'adjusted', :at, :at, :at, 10, -5, -5, :at, '', '')"
        ),
        {"at": at(60)},
    )
    connection.execute(
        text(
            "INSERT INTO purchase_line (purchase, sku, supplier, location, ordered, received, promised_at, changes, "
            "actor, updated_at) VALUES ('p1', 'SHOWN', :supplier, 'main', 10, 0, :promised, 0, '', :at)"
        ),
        {"supplier": NASTY, "promised": NOW + timedelta(days=2), "at": at(1)},
    )
    open_discrepancies(
        connection,
        [
            Found(Comparison.QUANTITIES, Drift.QUANTITY, DiscrepancyClass.MISMATCH, "ebay/SHOWN", 3, 5, NASTY,
                  sku="SHOWN", channel="ebay"),
            Found(Comparison.WAREHOUSE, Drift.COUNT, DiscrepancyClass.BAD_COUNT, "main/HIDDEN", 9, 4, "counted",
                  sku="HIDDEN", location="main"),
        ],
        now=NOW - timedelta(hours=5),
    )  # fmt: skip
    open_incidents(
        connection,
        [NewIncident(IncidentKind.OVERSOLD, Severity.CRITICAL, NASTY, f"{NASTY} is oversold"),
         NewIncident(IncidentKind.REJECTED, Severity.WARNING, "ebay/SHOWN", "refused")],
        now=at(100),
    )  # fmt: skip


@pytest.fixture
def troubled(engine: Engine) -> Engine:
    business(
        engine,
        stock_at={"SHOWN": {"main": 20}, "HIDDEN": {"main": 8}, "ELSEWHERE": {"attic": 4}},
        channels={"amazon": ("main",), "ebay": ("main",)},
        bundles={"PAIR": {"SHOWN": 2}},
    )
    back = reversal("r1", 1, reason=ReversalReason.INVENTORY, minute=30)
    wish = reversal("r2", 1, reason=ReversalReason.CUSTOMER, minute=30)
    sell(engine, "amazon", *(order(f"a{number}", ("SHOWN", 1), minute=10) for number in range(6)))
    sell(engine, "amazon", order("a6", ("PAIR", 1), minute=10, updated=30, back=[back]))
    sell(engine, "ebay", order("e1", ("SHOWN", 1), minute=20), order("e2", ("SHOWN", 1), minute=20, back=[wish]))
    in_transaction(engine, trouble)
    return engine


def look(engine: Engine, *, now: datetime = NOW, whole: bool = True) -> Health:
    ebay = RevisionLimit("ebay", 20, START, START + timedelta(days=1))
    with engine.connect() as connection:
        return measure(connection, now=now, limits=parse_limits(""), revisions=[ebay], whole=whole)


def test_the_story_of_a_day_in_figures(troubled: Engine) -> None:
    health = look(troubled)
    assert health.accuracy[0].ira_exact == 0.5 and health.accuracy[0].units_missing == 5
    by_code = {one.channel: one for one in health.channels}
    ebay = by_code["ebay"]
    assert (ebay.sent, ebay.confirmed, ebay.failed, ebay.overtaken) == (20, 17, 2, 1)
    everything, amazon_gap, ebay_gap = health.gaps
    assert (everything.orders, everything.waiting, everything.p95) == (1, 8, 2.0)
    assert (amazon_gap.waiting, ebay_gap.longest, amazon_gap.p50) == (7, 2.0, None)
    assert amazon_gap.waiting_for == 230 * 60
    first = health.budgets[0]
    assert (first.channel, first.published, first.limit, first.most, first.near) == ("ebay", 21, 20, 19, 1)

    amazon, other = health.cancellations
    assert (amazon.channel, amazon.orders, amazon.cancelled, amazon.out_of_stock, amazon.days) == ("amazon", 7, 1, 1, 7)
    assert amazon.used is not None and amazon.used > 5
    assert other.cancelled == 0, "what the buyer asked for is no cancellation of the seller's"
    seen = {(one.by, one.subject): one for one in health.patterns}
    assert seen["SKU", "SHOWN"].pieces == 2, "a bundle counts for its components"
    assert seen["supplier", NASTY].orders == 1 and seen["hour", "09 h"].share == 1.0

    assert health.incidents[0].severity == "critical" and health.incidents_open["warning"] >= 1
    assert {(one.kind, one.open, one.critical, one.month) for one in health.incident_kinds} >= {("rejected", 1, 0, 1)}
    told = causes(health)
    assert told is not None
    assert {row["cause"]: row["open"] for row in told.rows} | {"multi-channel conflicts": "?"} == {
        "delayed supplier updates": "0",
        "inconsistent adjustments": "1",
        "integration errors": "1",
        "multi-channel conflicts": "?",
    }
    assert health.discrepancies_open == {"critical": 0, "warning": 2, "info": 0}
    places = {(one.by, one.subject): one.buckets for one in health.ages}
    assert places["channel", "ebay"] == (0, 1, 0, 0) == places["warehouse", "main"] == places["SKU", "HIDDEN"]

    assert health.shown is not None and health.low is not None and health.exposure is not None
    why = {one.sku: one.why for one in health.shown.worst}
    assert why == {"HIDDEN": "the policy gives no channel any", "ELSEWHERE": "no channel sells from where it lies"}
    assert health.shown.stranded == 12 and health.shown.hidden == 12 + health.shown.sellable - 12 - 6
    (low,) = health.low.worst
    assert (low.sku, low.a_day, low.promised_at) == ("SHOWN", 10.0, NOW + timedelta(days=2))
    assert low.days == low.sellable / 10


def test_days_of_an_empty_ledger_and_of_one_without_the_heavy_part(engine: Engine) -> None:
    health = look(engine)
    assert health.accuracy[0].ira_exact is None if health.accuracy else True
    assert health.shown is not None and health.shown.sellable == 0 and health.low is not None and not health.low.worst
    said = sections(health)
    assert {one.state for one in said} <= {State.FINE, State.UNKNOWN} and not missed_targets(health, said)
    assert look(engine, whole=False).exposure is None
    with engine.connect() as connection:
        assert is_small(connection)


def test_a_day_is_noted_once_and_shown_by_day(engine: Engine) -> None:
    def note(value: float | None, days: int) -> None:
        in_transaction(
            engine,
            lambda connection: note_samples(
                connection, {("ira", ""): value, ("gap", "ebay"): 2.0}, now=NOW + timedelta(days=days)
            ),
        )

    note(0.5, 0)
    note(0.6, 0)
    note(None, 1)
    note(0.7, 2)
    with engine.connect() as connection:
        found = trends(connection, {"ira", "gap"}, days=30, now=NOW + timedelta(days=2))
        day = NOW.astimezone(UTC).date()
        assert [(one.name, one.subject) for one in found] == [("gap", "ebay"), ("ira", "")]
        assert found[1].points == ((day, 0.6), (day + timedelta(days=2), 0.7))
        assert trends(connection, {"ira"}, days=2, now=NOW + timedelta(days=2))[0].points == found[1].points[1:]


@pytest.mark.parametrize("words", ["amazon", "amazon=0/7", "amazon=2/0", "amazon=2/400", "=2/7", "a=b/c", "a=1e9/7"])
def test_a_limit_that_is_none_is_named(words: str) -> None:
    with pytest.raises(LimitError, match="is no limit"):
        parse_limits(f"ebay=1/30, {words}")


def test_limits_of_ones_own_win_and_the_others_stay() -> None:
    found = parse_limits(" portal=1.5%/30 ,amazon=2/14")
    assert (found["portal"].share, found["amazon"].days, found["ebay"].days) == (0.015, 14, 90)
    assert json.dumps(sorted(parse_limits(""))) == '["amazon", "ebay", "walmart"]'


def test_the_report_is_written_noted_and_the_same_again(troubled: Engine, tmp_path: Path) -> None:
    def report(now: datetime) -> HealthReport:
        return report_health_of(troubled, now=now, limits=parse_limits(""), folder=tmp_path, days=90)

    first = report(NOW - timedelta(days=1, hours=2))
    again = report(NOW)
    assert [one.key for one in again.sections[:2]] == ["accuracy", "failed-syncs"]
    states = [one.state for one in again.sections[2:]]
    assert states == sorted(states, reverse=True) and states[0] is State.CRITICAL
    by_key = {one.key: one for one in again.sections}
    assert by_key["failed-syncs"].figure == "10.00 %" and by_key["failed-syncs"].rows[0]["channel"] == "amazon"
    assert by_key["cancellations"].state is State.WARNING and by_key["accuracy"].state is State.WARNING
    noted = {(trend.name, trend.subject): trend.points for one in again.trends.values() for trend in one}
    assert len(noted["exposure", "sellable"]) == 2 and len(noted["failed syncs", "ebay"]) == 1
    page = again.page.read_text()
    assert (
        "<script" not in page
        and "&lt;script&gt;" in page
        and "<svg" in page
        and "http" not in page.replace("http://www.w3.org/2000/svg", "")
    )
    assert report(NOW).page.read_text() == page
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == [
        "health-2026-11-01.html", "health-2026-11-02.html", "health.html"
    ]  # fmt: skip
    assert len(first.sections) >= 10
    later = report(NOW + timedelta(days=100))
    assert not (tmp_path / "reports" / "health-2026-11-01.html").exists() and later.page.is_file()


def test_status_says_the_same_in_a_terminal_and_for_programs(
    troubled: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ONHAND_DATABASE_URL", database_url)
    # The real clock is days or years away from the story's: what is open stays open whatever the time.
    assert run(["status", "--json"]) == 1
    plain = json.loads(capsys.readouterr().out)
    assert plain["state"] == "critical" and [one["key"] for one in plain["sections"][:2]] == [
        "accuracy",
        "failed-syncs",
    ]
    assert {one["state"] for one in plain["sections"] if one["key"] in ("incidents", "exposure")} >= {"critical"}
    nasty = "\x1b[31mred\nnext [bold]"
    in_transaction(
        troubled,
        lambda connection: open_incidents(
            connection, [NewIncident(IncidentKind.OVERSOLD, Severity.CRITICAL, nasty, nasty)], now=at(90)
        ),
    )
    assert run(["status", "--most", "2"]) == 1
    said = capsys.readouterr().out
    assert "Open incidents" in said and "red next [bold]" in said and "\x1b" not in said
    in_transaction(troubled, lambda connection: note_samples(connection, {("hidden", "stranded"): 12.0}, now=utc_now()))
    assert run(["status", "--no-whole"]) == 1
    said = capsys.readouterr().out
    assert "hidden stranded 12" in said and "Stranded stock" not in said
    assert run(["status", "--most", "0"]) == 2
    monkeypatch.setenv("ONHAND_CANCELLATION_LIMITS", "a lot")
    assert run(["status"]) == 2
    error = capsys.readouterr().err
    assert "ONHAND_CANCELLATION_LIMITS" in error and "a lot" not in error


def utc_now() -> datetime:
    return datetime.now(UTC)


def test_status_in_a_terminal_shows_tables(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        Section("accuracy", "Accuracy", State.FINE, "1", "says [this]", [{"SKU": "[red]X", "n": "1"}]),
        Section("quiet", "Quiet", State.FINE, "0", "nothing", [{"hidden": "row"}]),
    ]
    show(found, [], NOW, 5)
    said = capsys.readouterr().out
    assert "[red]X" in said and "says [this]" in said and "row" not in said


def test_a_figure_beyond_its_limit_is_an_incident_until_it_is_not(troubled: Engine) -> None:
    health = look(troubled)
    amazon = health.cancellations[0]

    def opened(cancelled: int) -> dict[str, str]:
        given = replace(health, cancellations=[replace(amazon, orders=1000, cancelled=cancelled)])
        missed = missed_targets(given, sections(given))
        in_transaction(troubled, lambda connection: tell_targets(connection, missed, now=NOW))
        query = "SELECT subject, severity FROM incident WHERE status = 'open' AND kind = 'target_missed'"
        return {subject: severity for subject, severity in rows(troubled, query)}

    # Eight orders wait for hours, and a tenth of the numbers failed.
    others = {"sync-gap": "warning", "failed-syncs": "critical"}
    assert opened(0) == others
    assert opened(20) == others | {"cancellations/amazon": "warning"}
    assert opened(20) == others | {"cancellations/amazon": "warning"}
    assert opened(25) == others | {"cancellations/amazon": "critical"}
    assert opened(1) == others
    assert not [one for one in missed_targets(health, []) if one.subject.startswith("cancellations")], "seven orders"
