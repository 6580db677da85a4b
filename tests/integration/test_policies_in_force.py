"""A policy file in the real publisher: its version, learned demand, the fence of an outage, and the way back."""

from datetime import UTC, datetime, timedelta

import pytest
from fake_channel import Bench, FakeChannel, bench, line, order, page
from sqlalchemy import Engine, event, text

from adapters.database import in_transaction
from inventory import setup
from inventory.channels import UnknownChannel
from inventory.holds.reservations import HoldRequest, HoldStatus, reserve
from inventory.ledger.explanation import explain
from inventory.policies.policy_file import PolicyFileError
from inventory.policies.policy_store import bring_in_force
from inventory.publishing.exposure_view import by_listing, by_sku, sample, samples, total
from inventory.publishing.outbox import mark_dirty
from inventory.words import ChannelMode, WriteMode
from onhand import command_line
from tasks.change_policy import change_policy
from tasks.learn import learn
from tasks.publishing.preview import try_policy
from tasks.publishing.publish import publish
from tasks.publishing.watch import watch
from tasks.selling.pull import pull

CALIBRATED = '[default]\npolicy = "calibrated:0.01"\n'
LOOKS = 13
"""Every two hours: more than a day of darkness."""


def in_force(at: Bench, text_: str) -> str:
    done = in_transaction(at.engine, lambda c: bring_in_force(c, text_, actor="jo", reason="to try it", now=at.clock()))
    return f"{done.version}-{done.content_hash[:8]}"


def rest(at: Bench) -> dict[str, int]:
    """Publish and pull until nothing changes; what is shown then."""
    for _ in range(12):
        publish(at.runtime)
        at.clock.forward(61)
        for code, channel in at.channels.items():
            if channel.unreadable is None:
                pull(at.runtime, code)
    publish(at.runtime)
    return {ref: units for channel in at.channels.values() for ref, units in channel.shown.items()}


def sold_for_weeks(at: Bench) -> None:
    """28 days of orders that are long sent, straight into the ledger: 3 a day of A on each channel, B now and then."""
    with at.engine.begin() as connection:
        connection.execute(
            text(
                """
                WITH ids AS (SELECT id, channel, sku FROM listing), sold AS (
                    SELECT 'order:' || channel || ':' || sku || day || '-' || n AS holder, ids.*,
                           CAST(:now AS timestamptz) - make_interval(days => day, mins => 37 * n) AS at
                    FROM ids, generate_series(1, 28) AS day, generate_series(1, 3) AS n
                    WHERE sku = 'A' OR (sku = 'B' AND day % 14 = n)
                ), orders AS (
                    INSERT INTO reservation (holder, kind, channel, status, placed_at, updated_at, recorded_at,
                                             synced_at, fingerprint)
                    SELECT holder, 'order', channel, 'shipped', at, at, at, at + interval '2 seconds', '' FROM sold
                )
                INSERT INTO order_line (holder, line_id, listing_id, sku, components, quantity, reversed)
                SELECT holder, '1', id, sku, jsonb_build_object(sku, 1), 1, 0 FROM sold
                """
            ),
            {"now": at.clock()},
        )


def test_calibrated_is_learned_published_fenced_and_taken_back(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at = bench(engine, {"A": 40, "B": 2, "C": 7}, shop=True, market=True, site=False)
    strict = rest(at)
    assert sum(units for ref, units in strict.items() if ref.endswith("-A")) == 40
    assert at.rows("SELECT DISTINCT policy_version FROM publication") == [("strict/2",)]

    # Nothing is learned yet: it is in force, and splits as strict does.
    version = in_force(at, CALIBRATED)
    assert rest(at) == strict
    sold_for_weeks(at)
    report = learn(at.runtime)
    assert (report.learned.skus, report.learned.order_lines) == (2, 3 * 84 + 3 * 6)
    lags = dict(at.rows("SELECT channel, seconds FROM channel_lag"))
    assert lags == pytest.approx(dict.fromkeys(("shop", "market", "site"), 2.0), abs=0.2)
    at.move("A", 1, receipt="one more")
    at.move("C", 1, receipt="one more of C")
    shown = rest(at)
    assert all(38 <= shown[f"{code}-A"] <= 41 for code in at.channels), "plenty is mirrored"
    assert 1 <= sum(shown[f"{code}-C"] >= 7 for code in at.channels), "what was never sold borrows from the others"
    newest = at.rows("SELECT policy_version, inputs FROM publication ORDER BY id DESC LIMIT 1")[0]
    assert newest.policy_version == f"{version}: calibrated:0.01"
    assert {"lag", "unseen_lines", "policy", "sellable", "exposure_of_others"} <= set(newest.inputs)
    # What is scarce depends on the hour, and is looked at again in the next.
    assert at.rows("SELECT sku FROM outbox") == []
    with at.engine.begin() as connection:
        connection.execute(text("UPDATE channel_lag SET seconds = 7200"))
        mark_dirty(connection, ["A", "B"], now=at.clock())
    publish(at.runtime)
    again = at.rows("SELECT sku, due_at, eager FROM outbox WHERE due_at > :now", now=at.clock())
    assert [(row.sku, row.due_at.minute, row.eager) for row in again] == [("B", 0, False)]
    assert timedelta(0) < again[0].due_at - at.clock() <= timedelta(hours=1)
    learn(at.runtime)

    _goes_dark_and_comes_back(at, shown)
    _is_told(at, database_url, monkeypatch, capsys)

    in_force(at, "review_by = 2026-01-31\n")
    learn(at.runtime)
    assert at.incidents() == {("policy_review", "policy")}
    in_force(at, "")
    learn(at.runtime)
    back = rest(at)
    assert sum(units for ref, units in back.items() if ref.endswith("-A")) <= at.one(
        "SELECT sum(quantity)::int FROM balance WHERE sku = 'A' AND state = 'available'"
    )
    with at.engine.connect() as connection:
        assert total(connection).beyond == 0
    assert at.incidents() == set()


def _goes_dark_and_comes_back(at: Bench, shown: dict[str, int]) -> None:
    market = at.channels["market"]
    for _ in range(4):
        at.clock.forward(30)
        for code in at.channels:
            pull(at.runtime, code)
    at.clock.forward(45)
    assert watch(at.runtime).went_dark == []
    writes = len(market.written)
    for _ in range(7):
        at.clock.forward(20)
        pull(at.runtime, "shop")
        pull(at.runtime, "site")
        gone = watch(at.runtime).went_dark
        if gone:
            break
    assert (gone, watch(at.runtime).went_dark) == (["market"], [])
    assert ("channel_dark", "market") in at.incidents()
    assert at.one("SELECT count(*) FROM outbox WHERE eager AND sku IN ('A', 'B', 'C')") == 3
    publish(at.runtime)
    assert at.channels["shop"].shown["shop-A"] < shown["shop-A"], "the others give up what it may sell"
    fenced = at.channels["shop"].shown["shop-A"]

    for _ in range(LOOKS):
        at.clock.forward(7200)
        pull(at.runtime, "shop")
        pull(at.runtime, "site")
        if watch(at.runtime).longer_dark:
            publish(at.runtime)
    publish(at.runtime)
    assert at.channels["shop"].shown["shop-A"] < fenced, "it lasts longer than expected: they give up more"
    assert len(market.written) == writes

    # It sold on. Its numbers can be read again, its orders were not: nothing is written.
    market.shown["market-A"] -= 5
    at.move("A", 30, receipt="meanwhile")
    publish(at.runtime)
    publish(at.runtime)
    assert len(market.written) == writes, "written before its orders were read"
    market.pages = [page(order("late", at.clock(), line("1", "market-A", 5)))]
    assert pull(at.runtime, "market").back
    publish(at.runtime)
    assert len(market.written) > writes
    market.pages = []
    assert at.one("SELECT count(*) FROM channel_outage WHERE ended_at IS NULL") == 0


def test_an_outage_of_every_week_is_foreseen(engine: Engine) -> None:
    at = bench(engine, {"A": 40, "B": 1}, shop=True, market=True, site=True)
    sold_for_weeks(at)
    learn(at.runtime)
    in_force(at, CALIBRATED)
    rest(at)
    with at.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO channel_outage (channel, began_at, noticed_at, planned_seconds, mark_at, ended_at) "
                "SELECT 'market', at, at, 60, at + interval '100 years', at + interval '23 hours' "
                "FROM (SELECT CAST(:now AS timestamptz) - interval '7 days' AS at) AS before"
            ),
            {"now": at.clock()},
        )

    def look(*codes: str) -> list[str]:
        for code in codes or at.channels:
            pull(at.runtime, code)
        expected = watch(at.runtime).expected
        publish(at.runtime)
        return expected

    began = at.clock()
    look()
    # Long enough to have the hours of the early morning in it, at which all is sold here.
    at.clock.forward(23 * 3600)
    assert look("shop", "site") == []
    assert ("channel_dark", "market") in at.incidents()
    assert pull(at.runtime, "market").back
    rest(at)
    shown = at.channels["market"].shown["market-B"], at.channels["shop"].shown["shop-B"]
    assert shown == (1, 1)

    def forward_to(minutes: int) -> None:
        at.clock.forward((began + timedelta(days=7, minutes=minutes) - at.clock()).total_seconds())

    forward_to(-15)
    assert look() == []
    forward_to(-5)
    assert "market" in look()
    assert look() == [], "said once"
    assert at.channels["market"].shown["market-B"] == 0, "the only one is left to those who stay"
    assert at.channels["shop"].shown["shop-B"] == 1
    assert at.channels["market"].shown["market-A"] > 30, "of plenty nothing is taken"
    forward_to(25)
    assert "market" in look(), "it did not come"
    rest(at)
    assert at.channels["market"].shown["market-B"] == 1
    assert watch(at.runtime).expected == []


def _is_told(at: Bench, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with at.engine.connect() as connection:
        [shop] = [one for one in explain(connection, "A", at.clock()).listings if one.channel == "shop"]
        assert shop.policy.endswith("calibrated:0.01") and shop.lag and shop.unseen_lines
        [sku] = by_sku(connection, sku="A")
        assert sku.exposed == sum(one.exposure or 0 for one in by_listing(connection, ["A"])) > 0
    now = at.clock()
    seen = in_transaction(at.engine, lambda connection: sample(connection, now=now))
    with at.engine.connect() as connection:
        assert samples(connection, since=now)[0].exposed == seen.exposed == sum(seen.by_channel.values())
    monkeypatch.setenv("ONHAND_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "250")
    assert command_line.run(["exposure", "A"]) == int(seen.beyond > 0)
    assert command_line.run(["explain", "A"]) == 0
    said = capsys.readouterr().out
    assert "calibrated:0.01" in said and "asks first" not in said


def test_what_another_policy_would_change_is_listed_and_nothing_is_done(
    engine: Engine, database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = bench(engine, {"A": 50, "B": 1}, shop=True, site=False)
    at.clock.at = datetime.now(UTC)  # the command asks the real clock
    rest(at)
    rule = '[[rule]]\nname = "buffered"\nclasses = ["everyday"]\npolicy = "percentage:90"\ncap = 40\n'
    with pytest.raises(PolicyFileError, match="no item is of class 'everyday'"):
        try_policy(at.runtime, rule)
    with at.engine.begin() as connection:
        connection.execute(text("UPDATE item SET item_class = 'everyday' WHERE sku = 'A'"))
    rows = try_policy(at.runtime, rule)
    assert [(row["listing"], row["shows"], row["in force"], row["would show"]) for row in rows] == [
        ("shop-A", 25, 25, 40), ("site-A", 25, 25, 40),
    ]  # fmt: skip
    assert "strict → percentage:90, cap 40, by buffered" in rows[0]["why"]
    assert try_policy(at.runtime, rule, "site") == rows[1:]
    assert try_policy(at.runtime, "") == []
    with pytest.raises(UnknownChannel):
        try_policy(at.runtime, "", "nowhere")
    for nonsense in ("\x00", "x = [", "[[rule]]", '[default]\npolicy = "hope"', rule.replace("everyday", "nothing")):
        with pytest.raises(PolicyFileError):
            change_policy(at.runtime, nonsense, actor="jo", reason="to see")
    assert at.one("SELECT count(*) FROM policy_version") == 0 == at.one("SELECT count(*) FROM outbox")
    assert rest(at)["shop-A"] == 25

    monkeypatch.setenv("ONHAND_DATABASE_URL", database_url)
    file = tmp_path / "policy.toml"
    file.write_text(rule)
    assert command_line.run(["policy", "check", str(file)]) == 0
    assert command_line.run(["policy", "diff", str(file), "--json"]) == 1
    assert command_line.run(["policy", "apply", str(file)]) == 2, "by whom, and why?"
    assert command_line.run(["policy", "apply", str(file), "--actor", "jo", "--reason", "less hidden"]) == 0
    assert command_line.run(["policy", "apply", str(file), "--actor", "jo", "--reason", "again"]) == 0
    assert command_line.run(["policy", "show"]) == 0
    assert command_line.run(["policy", "burn"]) == 2
    assert command_line.run(["policy", "check", str(tmp_path / "none.toml")]) == 2
    file.write_text("[default]\npolicy = 'hope'")
    assert command_line.run(["policy", "apply", str(file), "--actor", "jo", "--reason", "why not"]) == 2
    said = capsys.readouterr()
    assert "is this text already" in said.out and "'hope' is not a policy" in said.err
    assert at.one("SELECT count(*), min(actor) FROM policy_version") == (1, "jo")
    assert {ref: units for ref, units in rest(at).items() if ref.endswith("-A")} == {"shop-A": 40, "site-A": 40}


def test_a_promotion_begins_and_ends_by_itself_and_the_pool_follows(engine: Engine) -> None:
    at = bench(engine, {"A": 20}, shop=True)
    with engine.begin() as connection:
        asks = setup.ChannelSetup(
            "own", "fake", WriteMode.ABSOLUTE, ("main",), mode=ChannelMode.SHADOW, asks_first=True
        )
        setup.add_channel(connection, asks)
        setup.add_listings(connection, "own", [("own-A", "A", 1)])
    at.channels["own"] = FakeChannel("own", False, {"own-A": 0})
    begins = at.clock() + timedelta(hours=2)
    in_force(
        at,
        f'[[rule]]\nname = "sale"\nfrom = {begins.isoformat()}\nuntil = {(begins + timedelta(hours=1)).isoformat()}\n'
        'policy = "fixed:2"\nsafety = 3\n',
    )

    def granted(units: int) -> bool:
        """Asked for and taken back."""
        with engine.connect() as connection:
            request = HoldRequest(f"try-{units}", "own", (("A", units),), timedelta(minutes=5))
            [result] = reserve(connection, [request], now=at.clock())
            connection.rollback()
        return result.status is HoldStatus.HELD

    assert rest(at)["shop-A"] == 10
    assert granted(10) and not granted(11)
    at.clock.at = begins + timedelta(seconds=1)
    assert watch(at.runtime).turned == ["sale"] and watch(at.runtime).turned == []
    assert rest(at)["shop-A"] == 15, "20 less 3 of safety less 2"
    assert granted(15) and not granted(16), "what the blind one may sell is no longer kept from those who ask"
    at.clock.at = begins + timedelta(hours=1, seconds=1)
    assert watch(at.runtime).turned == ["sale"]
    publish(at.runtime)
    shown = rest(at)["shop-A"]
    assert granted(20 - shown) and not granted(21 - shown)


def test_a_pass_costs_one_statement_more_and_two_where_demand_is_asked_for(engine: Engine) -> None:
    at = bench(engine, {"A": 9}, shop=True, site=False)
    rest(at)
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))

    def passed() -> int:
        at.move("A", 1, receipt=str(len(statements)))
        statements.clear()
        assert publish(at.runtime).claimed == 1
        return sum("channel_lag" in one or "learned_demand" in one or "pool_kept" in one for one in statements)

    assert passed() == 1
    in_force(at, CALIBRATED)
    sold_for_weeks(at)
    learn(at.runtime)
    assert passed() == 2
