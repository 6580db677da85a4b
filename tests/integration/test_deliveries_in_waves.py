"""A delivery that calls for more at every listing of an absolute-write channel, which has to be closed for it first."""

from datetime import UTC, datetime

from shops import two_shops
from sqlalchemy import Engine, text

from inventory.ledger import stock
from tasks.publishing.publish import publish
from tasks.selling.pull import pull


def test_a_large_delivery_reaches_every_listing_and_never_empties_the_channel(engine: Engine) -> None:
    units = {f"S{number:02}": 20 for number in range(30)}
    fewest = len(units)
    with two_shops(engine, units) as stage:
        runtime, website = stage.runtime, stage.shops["website"]
        publish(runtime)
        for code in stage.shops:
            pull(runtime, code)
        with engine.begin() as connection:
            lines = [(sku, "main", 30) for sku in units]
            stock.receive(connection, lines, receipt="delivery", now=datetime.now(UTC))
        for _ in range(60):
            publish(runtime)
            fewest = min(fewest, sum(website.product(sku).quantity > 0 for sku in units))
            for code in stage.shops:
                pull(runtime, code)
            if all(website.product(sku).quantity == 25 for sku in units):
                break
            # What waits for its wave, or for its orders to be read, is due now.
            with engine.begin() as connection:
                connection.execute(text("UPDATE outbox SET due_at = now() WHERE due_at > now()"))
        assert {website.product(sku).quantity for sku in units} == {25}
        assert {stage.shops["shopify"].product(sku).quantity for sku in units} == {25}
        # Closed at a time: a quarter, and one besides that the next wave may always take.
        assert 20 <= fewest < len(units), "closed in waves, and closed at all"
        with engine.connect() as connection:
            assert connection.execute(text("SELECT kind, subject FROM incident")).all() == []
