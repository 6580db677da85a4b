"""The contract of quantities and of the catalogue: read, set, row by row, and what each flag says."""

import pytest
from channel_stage import Stage
from contract_place import Place

from adapters.channels.protocol import CatalogueEntry, Change, ChangeStatus
from adapters.sandbox.shop import Product

MANY = 250


def numbered(stage: Stage, count: int) -> list[Product]:
    return [stage.add(f"N-{number}", number) for number in range(count)]


def read(stage: Stage, *products: Product) -> dict[str, tuple[int, bool]]:
    """Quantity and `tracked` by SKU."""
    refs = {stage.ref(product): product.sku for product in products}
    readings = stage.channel.read_quantities(list(refs))
    assert len({reading.listing_ref for reading in readings}) == len(readings)
    return {refs[reading.listing_ref]: (reading.quantity, reading.tracked) for reading in readings}


def statuses(stage: Stage, *changes: tuple[Product | str, int, int | None], key: str = "key") -> list[str]:
    """Sends (product or ref, quantity, expected) and lets it become live."""
    rows = [
        Change(thing if isinstance(thing, str) else stage.ref(thing), quantity, expected)
        for thing, quantity, expected in changes
    ]
    results = stage.channel.set_quantities(rows, key)
    assert [result.listing_ref for result in results] == [row.listing_ref for row in rows]
    stage.settle()
    return [result.status.value for result in results]


class StockContract:
    def test_reads_what_the_shop_shows(self, stage: Stage) -> None:
        one, none = stage.add("ONE", 1000), stage.add("NONE", 0)
        stage.buy(("ONE", 4))
        assert read(stage, one, none) == {"ONE": (996, True), "NONE": (0, True)}

    def test_what_is_not_counted_or_sells_below_zero_is_not_tracked(self, stage: Stage) -> None:
        flagged = []
        if stage.traits.untracked:
            flagged.append(stage.add("LOOSE", 7, tracked=False))
        if stage.traits.oversell:
            flagged.append(stage.add("BELOW", 2, oversell_allowed=True))
            stage.buy(("BELOW", 5))
        if not flagged:
            pytest.skip("the vendor counts every listing and sells none below zero")
        found = read(stage, *flagged)
        assert {tracked for _, tracked in found.values()} == {False}
        if stage.traits.oversell:
            assert found["BELOW"][0] == -3

    def test_an_unknown_listing_is_absent(self, stage: Stage, place: Place) -> None:
        product = stage.add("A", 3)
        readings = stage.channel.read_quantities([stage.traits.unknown_ref, stage.ref(product)])
        assert [reading.listing_ref for reading in readings] == [stage.ref(product)]
        assert stage.channel.read_quantities([stage.traits.unknown_ref]) == []
        calls = place.calls
        assert stage.channel.read_quantities([]) == []
        assert place.calls == calls

    def test_more_than_a_batch_is_read(self, stage: Stage) -> None:
        products = numbered(stage, min(2 * stage.channel.capabilities.read_batch, MANY) + 3)
        assert read(stage, *products) == {product.sku: (product.quantity, True) for product in products}

    def test_sets_quantities(self, stage: Stage) -> None:
        one, two, three = (stage.add(sku, 1000) for sku in "ABC")
        assert statuses(stage, (one, 7, 1000), (two, 0, 1000), (three, 1001, None)) == ["done"] * 3
        assert [product.quantity for product in (one, two, three)] == [7, 0, 1001]
        assert read(stage, one, two, three) == {"A": (7, True), "B": (0, True), "C": (1001, True)}

    def test_sets_a_whole_batch(self, stage: Stage) -> None:
        products = numbered(stage, min(stage.channel.capabilities.write_batch, MANY))
        changes = [(product, 2000 - product.quantity, product.quantity) for product in products]
        assert set(statuses(stage, *changes)) == {"done"}
        assert [product.quantity for product in products] == [2000 - number for number in range(len(products))]

    def test_more_than_a_batch_is_refused_or_done_and_never_cut(self, stage: Stage) -> None:
        if stage.channel.capabilities.write_batch > MANY:
            pytest.skip(f"a batch takes more than {MANY} rows")
        products = numbered(stage, stage.channel.capabilities.write_batch + 1)
        try:
            assert set(statuses(stage, *[(product, 7, product.quantity) for product in products])) == {"done"}
        except ValueError:
            assert stage.shop.written == []
        else:
            assert {product.quantity for product in products} == {7}

    def test_one_listing_twice_is_refused(self, stage: Stage) -> None:
        product = stage.add("A", 5)
        with pytest.raises(ValueError):
            statuses(stage, (product, 1, 5), (product, 2, 5))
        assert stage.shop.written == []

    def test_no_changes_need_no_call(self, stage: Stage, place: Place) -> None:
        assert statuses(stage) == []
        assert place.calls == 0

    def test_a_row_that_is_refused_does_not_harm_the_others(self, stage: Stage) -> None:
        products = [stage.add(sku, 1000) for sku in "AB"]
        assert statuses(stage, (products[0], 5, 1000), (stage.traits.unknown_ref, 5, 0), (products[1], 6, 1000)) == [
            "done",
            "rejected",
            "done",
        ]
        assert [product.quantity for product in products] == [5, 6]

    def test_a_sale_in_between_makes_its_row_stale_and_only_its_row(self, stage: Stage) -> None:
        if not stage.channel.capabilities.compare_and_set:
            pytest.skip("the vendor cannot compare before it sets: the last write wins")
        products = [stage.add(sku, 1000) for sku in "ABCDE"]
        stage.buy(("B", 1), ("D", 2))
        changes = [(product, 500, 1000) for product in products]
        assert statuses(stage, *changes) == ["done", "stale", "done", "stale", "done"]
        assert [product.quantity for product in products] == [500, 999, 500, 998, 500]

    def test_an_absolute_write_wins_over_a_sale_in_between(self, stage: Stage) -> None:
        product = stage.add("A", 1000)
        stage.buy(("A", 3))
        assert statuses(stage, (product, 500, None)) == ["done"]
        assert product.quantity == 500

    def test_a_key_is_carried_out_once(self, stage: Stage) -> None:
        if not stage.channel.capabilities.idempotency_keys:
            pytest.skip("the vendor takes no idempotency key")
        product = stage.add("A", 1000)
        assert statuses(stage, (product, 7, None), key="k1") == ["done"]
        stage.shop.set_quantity(product.number, 3, by="somebody else")
        assert statuses(stage, (product, 7, None), key="k1") == ["done"]
        assert product.quantity == 3

    def test_an_accepted_write_is_live_at_once_or_declared_later(self, stage: Stage) -> None:
        product = stage.add("A", 1000)
        (result,) = stage.channel.set_quantities([Change(stage.ref(product), 7, 1000)], "key")
        assert result.status is ChangeStatus.DONE
        if not stage.channel.capabilities.applies_later:
            assert product.quantity == 7
        stage.settle()
        assert product.quantity == 7


def catalogue(stage: Stage) -> dict[str, CatalogueEntry]:
    pages = list(stage.channel.read_catalogue())
    assert not [defect for page in pages for defect in page.defects]
    entries = [entry for page in pages for entry in page.entries]
    found = {entry.listing_ref: entry for entry in entries}
    assert len(found) == len(entries), "a listing twice"
    return found


class CatalogueContract:
    def test_the_catalogue_has_every_listing_once(self, stage: Stage) -> None:
        products = numbered(stage, 120)
        found = catalogue(stage)
        for product in products:
            entry = found[stage.ref(product)]
            assert entry.sku == product.sku
            assert product.title in entry.title
            assert entry.quantity in (product.quantity, None)
            assert entry.tracked in (True, None)
            assert entry.oversell_allowed in (False, None)
            assert entry.fulfilled_by_channel is False

    def test_the_catalogue_tells_the_settings_that_oversell(self, stage: Stage) -> None:
        if not (stage.traits.untracked or stage.traits.oversell):
            pytest.skip("the vendor counts every listing and sells none below zero")
        plain = stage.add("PLAIN", 5)
        loose = stage.add("LOOSE", 5, tracked=False) if stage.traits.untracked else None
        below = stage.add("BELOW", 5, oversell_allowed=True) if stage.traits.oversell else None
        found = catalogue(stage)
        assert (found[stage.ref(plain)].tracked, found[stage.ref(plain)].oversell_allowed) == (True, False)
        if loose:
            assert found[stage.ref(loose)].tracked is False
        if below:
            assert found[stage.ref(below)].oversell_allowed is True

    def test_a_listing_that_is_off_sale_is_in_the_catalogue(self, stage: Stage) -> None:
        off, on = stage.add("OFF", 5), stage.add("ON", 5)
        if not stage.switch_off(off):
            pytest.skip("the vendor has no switch for one listing")
        found = catalogue(stage)
        assert found[stage.ref(off)].on_sale in (False, None)
        assert found[stage.ref(on)].on_sale in (True, None)
