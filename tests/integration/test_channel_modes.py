"""Shadow, dry run, live: what must hold before, who did it, and that a restart keeps it. And the preview."""

from dataclasses import replace

import pandas as pd
import pytest
from fake_channel import Bench, bench, entry, line, order, page
from sqlalchemy import Engine, text

from adapters.channels.protocol import CataloguePage
from adapters.http import ChannelFault, Resolution
from expectations import gate
from expectations.parameters import Parameters
from inventory.channels import UnknownChannel
from inventory.setup import ChannelSetup, add_channel
from inventory.words import ChannelMode, WriteMode
from tasks.onboarding.audit import audit_channel, channel_codes
from tasks.onboarding.change_mode import as_rows, change_mode
from tasks.publishing.preview import preview
from tasks.publishing.publish import publish
from tasks.selling.pull import pull


def setup(code: str, mode: ChannelMode) -> ChannelSetup:
    return ChannelSetup(code, "fake", WriteMode.COMPARE_AND_SET, ("main",), mode=mode, settle_seconds=10, share=3)


@pytest.fixture
def shop(engine: Engine) -> Bench:
    """`cas` is in shadow and shows 2 of A; `site` is live."""
    made = bench(engine, {"A": 8, "B": 4}, cas=True, site=True)
    with engine.begin() as connection:
        connection.execute(text("UPDATE channel SET mode = 'shadow' WHERE code = 'cas'"))
    made.channels["cas"].shown["cas-A"] = 2
    made.channels["cas"].catalogue = [CataloguePage([entry("cas-A", "A"), entry("cas-B", "B")])]
    return made


def set_mode(shop: Bench, mode: str, **how: object) -> list[str]:
    """What is missing."""
    result = change_mode(shop.runtime, "cas", mode, actor="Wanda", reason="because", **how)  # type: ignore[arg-type]
    return [check.what for check in result.missing]


def mode_of(shop: Bench) -> str:
    return str(shop.one("SELECT mode FROM channel WHERE code = 'cas'"))


def test_live_needs_everything_and_says_what_is_missing(shop: Bench) -> None:
    with shop.engine.begin() as connection:
        connection.execute(text("UPDATE listing SET mapped_at = :now WHERE channel = 'cas'"), {"now": shop.clock()})
    missing = [
        "catalogue audited", "no blockers", "nothing unmapped", "orders read since the listings were made",
        "each listing read once", "dry run",
    ]  # fmt: skip
    assert set_mode(shop, "live") == missing
    assert mode_of(shop) == "shadow"
    assert shop.one("SELECT count(*) FROM channel_change") == 0
    assert set_mode(shop, "dry_run") == []
    publish(shop.runtime)
    shop.clock.forward(1)
    pull(shop.runtime, "cas")
    shop.channels["cas"].catalogue = [
        CataloguePage([entry("cas-A", "A", tracked=False), entry("cas-B", "B"), entry("x", "?")])
    ]
    audit_channel(shop.runtime, "cas")
    assert set_mode(shop, "live") == ["no blockers", "nothing unmapped"]
    shop.clock.forward(1)
    shop.channels["cas"].catalogue = [CataloguePage([entry("cas-A", "A"), entry("cas-B", "B"), entry("x", "?")])]
    audit_channel(shop.runtime, "cas")
    assert set_mode(shop, "live") == ["nothing unmapped"]
    assert set_mode(shop, "live", accept_unmapped=True) == []
    changes = shop.rows("SELECT * FROM channel_change ORDER BY id")
    assert [(row.from_mode, row.to_mode, row.actor) for row in changes] == [
        ("shadow", "dry_run", "Wanda"),
        ("dry_run", "live", "Wanda"),
    ]
    assert changes[1].reason == "because (listings without a SKU accepted)"
    publish(shop.runtime)
    assert shop.channels["cas"].shown["cas-A"] > 2


def test_an_order_held_back_keeps_it_from_going_live(shop: Bench) -> None:
    set_mode(shop, "dry_run")
    shop.channels["cas"].pages = [page(order("1", shop.clock(), line("1", "nowhere")))]
    pull(shop.runtime, "cas")
    publish(shop.runtime)
    audit_channel(shop.runtime, "cas")
    assert set_mode(shop, "live") == ["no order held back"]
    shop.clock.forward(8 * 24 * 3600)
    assert "catalogue audited" in set_mode(shop, "live"), "an audit grows old"
    result = change_mode(shop.runtime, "cas", "live", actor="Wanda", reason="because")
    assert {row["is"] for row in as_rows(result)} == {"missing", "as it must be"}


def test_without_stock_it_would_close_the_shop(engine: Engine) -> None:
    shop = bench(engine, {"A": 0}, cas=True)
    with engine.begin() as connection:
        connection.execute(text("UPDATE channel SET mode = 'dry_run'"))
    assert "opening stock" in set_mode(shop, "live")


def test_back_from_live_needs_nothing_and_exposure_goes_on_counting(shop: Bench) -> None:
    with shop.engine.begin() as connection:
        connection.execute(text("UPDATE channel SET mode = 'live'"))
    publish(shop.runtime)
    shown = dict(shop.channels["cas"].shown)
    assert shown["cas-A"] == 4
    assert set_mode(shop, "dry_run") == []
    shop.move("A", 8, receipt="truck")
    publish(shop.runtime)
    assert shop.channels["cas"].shown == shown, "nothing is sent to it"
    assert shop.one("SELECT exposure FROM listing WHERE ref = 'cas-A'") == 4
    assert shop.channels["site"].shown["site-A"] == 8, "half of sixteen: the rest is kept for it"


def test_a_restart_keeps_the_mode_and_takes_the_rest(shop: Bench) -> None:
    set_mode(shop, "dry_run")
    with shop.engine.begin() as connection:
        add_channel(connection, setup("cas", ChannelMode.LIVE))
        add_channel(connection, setup("new", ChannelMode.LIVE))
    assert shop.one("SELECT mode, share FROM channel WHERE code = 'cas'") == ("dry_run", 3)
    assert shop.one("SELECT mode FROM channel WHERE code = 'new'") == "live"


def test_setting_the_same_mode_records_nothing(shop: Bench) -> None:
    set_mode(shop, "shadow")
    assert shop.one("SELECT count(*) FROM channel_change") == 0
    with pytest.raises(UnknownChannel):
        change_mode(shop.runtime, "stranger", "live", actor="Wanda", reason="because")


# Preview


def everything(shop: Bench) -> list[object]:
    tables = ("listing", "channel", "publication", "gate_run", "quarantined_row", "incident", "movement", "balance")
    return [sorted(map(str, shop.rows(f"SELECT * FROM {name}"))) for name in tables]


def test_a_preview_is_what_the_publisher_then_does(shop: Bench) -> None:
    publish(shop.runtime)
    before = everything(shop)
    shown = preview(shop.runtime, "cas")
    assert everything(shop) == before, "nothing is written"
    assert shop.channels["cas"].written == []
    rows = {row["listing"]: row for row in shown.rows}
    assert (shown.mode, shown.listings, dict(shown.counts)) == ("shadow", 2, {"raise": 2})
    assert (rows["cas-A"]["shown now"], rows["cas-A"]["would be sent"], rows["cas-A"]["gate"]) == (2, 4, "goes")
    assert (rows["cas-A"]["sellable"], rows["cas-A"]["exposure of others"], rows["cas-A"]["slice"]) == (8, 4, 4)
    set_mode(shop, "dry_run")
    assert channel_codes(shop.runtime, "", mode="dry_run") == ["cas"]
    with shop.engine.begin() as connection:
        connection.execute(text("UPDATE channel SET mode = 'live' WHERE code = 'cas'"))
    publish(shop.runtime)
    assert shop.channels["cas"].shown == {ref: row["would be sent"] for ref, row in rows.items()}
    assert dict(preview(shop.runtime, "cas").counts) == {"as it is": 2}


def test_a_preview_says_what_cannot_be_sent_and_what_the_gate_holds(shop: Bench) -> None:
    publish(shop.runtime)
    del shop.channels["cas"].shown["cas-B"]
    with shop.engine.begin() as connection:
        connection.execute(text("UPDATE listing SET unconfirmed_until = :at WHERE ref = 'cas-A'"),
                           {"at": shop.clock().replace(year=2030)})  # fmt: skip
    outcomes = {row["listing"]: row["outcome"] for row in preview(shop.runtime, "cas").rows}
    assert outcomes["cas-A"] == "cannot be sent: a write is in doubt"
    assert "does not know it" in outcomes["cas-B"]


def test_a_preview_says_what_the_gate_holds_back(shop: Bench) -> None:
    def broken(suite: str, frame: pd.DataFrame, parameters: Parameters) -> gate.Verdict:
        return gate.check(suite, frame.drop(columns="quantity"), parameters)

    publish(shop.runtime)
    shown = preview(replace(shop.runtime, check=broken), "cas")
    assert {row["outcome"] for row in shown.rows} == {"held back"}
    assert all(row["gate"] for row in shown.rows)


def test_a_channel_that_cannot_be_read_has_no_preview(shop: Bench) -> None:
    shop.channels["cas"].unreadable = ChannelFault("cas", Resolution.RETRY, "away")
    with pytest.raises(ChannelFault):
        preview(shop.runtime, "cas")


def test_a_preview_without_listings(engine: Engine) -> None:
    shop = bench(engine, {}, cas=True)
    assert preview(shop.runtime, "cas").rows == []
