"""What the WooCommerce adapter makes of answers that are strange, cut short, refused or absent."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from woocommerce_stage import START, Bench, Meddling, Place, served

from adapters.http import ChannelFault, Resolution


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served() as place:
        yield place


@pytest.fixture
def bench(place: Place) -> Iterator[Bench]:
    with place.bench() as bench:
        yield bench


def _broken(name: str, value: Any) -> Callable[[str, Any], Any]:
    def change(path: str, body: Any) -> Any:
        if path.endswith("/orders") and body and "line_items" in body[0]:
            if name == "row":
                body[0] = value
            elif name in ("product_id", "quantity", "sku"):
                body[0]["line_items"][0][name] = value
            else:
                body[0][name] = value
        return body

    return change


@pytest.mark.parametrize("value", [None, -3, 0, 2.5, "two", True, 10**12])
def test_a_strange_quantity_is_passed_on_as_it_came(bench: Bench, value: Any) -> None:
    bench.sell("SKU-1")
    channel = bench.adapter(transport=Meddling(_broken("quantity", value)))
    (found,) = bench.pull(channel=channel)
    assert found["lines"][0]["quantity"] == value


def test_other_strange_values_are_passed_on(bench: Bench) -> None:
    bench.sell("SKU-1")
    for name, value, key in (("date_modified_gmt", "soon", "updated_at"), ("date_created_gmt", None, "placed_at")):
        channel = bench.adapter(transport=Meddling(_broken(name, value)))
        assert bench.pull(channel=channel)[0][key] == value
    channel = bench.adapter(transport=Meddling(_broken("product_id", 0)))
    assert bench.pull(channel=channel)[0]["lines"][0]["listing_ref"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("row", "Jane Doe"),
        ("id", None),
        ("id", "x"),
        ("status", 7),
        ("line_items", {"a": "Jane Doe"}),
        ("line_items", ["Jane Doe"]),
        ("line_items", None),
        ("quantity", {"of": "Jane Doe"}),
    ],
)
def test_an_untranslatable_order_is_a_defect_and_the_rest_comes(bench: Bench, name: str, value: Any) -> None:
    bench.sell("SKU-1")
    good = bench.sell("SKU-2")
    channel = bench.adapter(transport=Meddling(_broken(name, value)))
    (page,) = channel.pull_orders(START)
    assert [order["order_id"] for order in page.orders] == [str(good.number)]
    (defect,) = page.defects
    assert defect.key and defect.reason and "Jane" not in f"{defect}"


# A page that cannot be read


@pytest.mark.parametrize("lost", ["rows", "total", "object"])
def test_an_answer_that_does_not_add_up_is_malformed(bench: Bench, lost: str) -> None:
    for _ in range(5):
        bench.sell("SKU-1")

    def change(path: str, body: Any) -> Any:
        return body[:-1] if lost == "rows" and len(body) > 1 else {"code": "odd"} if lost == "object" else body

    gone = "x-wp-total" if lost == "total" else None
    headers = lambda kept: {name: text for name, text in kept.items() if name != gone}  # noqa: E731
    channel = bench.adapter(transport=Meddling(change, headers=headers))
    with pytest.raises(ChannelFault) as caught:
        bench.pull(channel=channel)
    assert caught.value.resolution is Resolution.MALFORMED


def test_what_cannot_be_a_shop_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="https"):
        bench.adapter(base_url="http://shop.example")
    for size in (1, 101):
        with pytest.raises(ValueError, match="page_size"):
            bench.adapter(page_size=size)
