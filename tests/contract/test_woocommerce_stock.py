"""Quantities of the imitated shop read and set through the WooCommerce adapter, over real HTTP on loopback."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from woocommerce_stage import SECRET, Bench, Place, served

from adapters.channels.protocol import Change, ChangeStatus
from adapters.http import ChannelFault, Resolution
from adapters.sandbox.faults import Fault, FaultKind, Operation


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with served() as place:
        yield place


@pytest.fixture
def bench(place: Place) -> Iterator[Bench]:
    with place.bench() as bench:
        yield bench


# Quantities


def test_quantities_are_read_with_and_without_variations(bench: Bench) -> None:
    bench.sell("SHIRT-RED", 4)
    (shared, family) = next(iter(bench.catalogue.shared.items()))
    refs = [bench.ref(sku) for sku in ("SKU-1", "SHIRT-RED", "SHIRT-BLUE", "LOOSE", "BACK")]
    refs += [f"{family}/{shared}", str(family), "999999", f"{family}/888888", "777777/1", "no-such", refs[0]]
    found = {
        reading.listing_ref: (reading.quantity, reading.tracked) for reading in bench.channel.read_quantities(refs)
    }
    assert found == {
        refs[0]: (1000, True),
        refs[1]: (46, True),
        refs[2]: (50, True),
        refs[3]: (0, False),
        refs[4]: (5, False),
        refs[5]: (33, True),
        refs[6]: (33, True),
    }


def _sorted(readings: list[Any], refs: list[str]) -> list[Any]:
    return sorted(readings, key=lambda reading: refs.index(reading.listing_ref))


def test_writes_are_absolute_and_put_sold_units_back(bench: Bench) -> None:
    assert bench.set("SKU-1", 10) is ChangeStatus.DONE
    bench.sell("SKU-1", 4)
    assert bench.set("SKU-1", 10) is ChangeStatus.DONE
    assert bench.shop.product("SKU-1").quantity == 10
    assert bench.set("SHIRT-RED", 3) is ChangeStatus.DONE
    assert bench.shop.product("SHIRT-RED").quantity == 3


def test_rows_fail_singly(bench: Bench) -> None:
    (shared, family) = next(iter(bench.catalogue.shared.items()))
    refs = [bench.ref("SKU-1"), "999999", bench.ref("LOOSE"), bench.ref("SHIRT-RED"), f"{family}/{shared}", "x"]
    results = bench.channel.set_quantities([Change(ref, 9, 1000) for ref in refs], "key")
    assert [result.listing_ref for result in results] == refs
    done, rejected = ChangeStatus.DONE, ChangeStatus.REJECTED
    assert [result.status for result in results] == [done, rejected, rejected, done, rejected, rejected]
    assert results[1].reason == "woocommerce_rest_product_invalid_id"
    assert "not managed" in results[2].reason and "parent" in results[4].reason
    assert bench.shop.product("FAMILY").quantity == 33
    with pytest.raises(ValueError, match="twice"):
        bench.channel.set_quantities([Change("1", 1, None), Change("1", 2, None)], "key")


@pytest.mark.parametrize(
    ("kind", "applied"),
    [
        (FaultKind.TIMEOUT_BEFORE, False),
        (FaultKind.TIMEOUT_AFTER, True),
        (FaultKind.ERROR_BEFORE, False),
        (FaultKind.ERROR_AFTER, True),
        (FaultKind.MALFORMED, True),
        (FaultKind.HTML, False),
    ],
)
def test_an_answer_that_never_came_is_unknown_for_its_own_rows(bench: Bench, kind: FaultKind, applied: bool) -> None:
    channel = bench.adapter(timeout_s=1.0)
    bench.fault(kind, Operation.WRITE, delay_s=3.0)
    changes = [Change(bench.ref("SKU-1"), 8, None), Change(bench.ref("SHIRT-RED"), 8, None)]
    first, second = channel.set_quantities(changes, "key")
    assert (first.status, second.status) == (ChangeStatus.UNKNOWN, ChangeStatus.DONE)
    assert first.reason and SECRET not in first.reason
    assert bench.shop.product("SKU-1").quantity == (8 if applied else 1000)
    assert bench.shop.product("SHIRT-RED").quantity == 8
    (reading,) = channel.read_quantities([bench.ref("SKU-1")])
    assert reading.quantity == (8 if applied else 1000)


def test_a_throttled_write_was_not_applied(bench: Bench) -> None:
    bench.fault(FaultKind.THROTTLE, Operation.WRITE)
    with pytest.raises(ChannelFault) as caught:
        bench.set("SKU-1", 8)
    assert (caught.value.resolution, caught.value.retry_after) == (Resolution.RATE_LIMITED, 1.0)
    assert bench.shop.written == []
    changes = [Change(bench.ref("SKU-1"), 8, None), Change(bench.ref("SHIRT-RED"), 8, None)]
    bench.shop.faults.replace([Fault(FaultKind.SLOW, Operation.WRITE, times=1, delay_s=0.0)])
    bench.shop.faults._faults += (Fault(FaultKind.THROTTLE, Operation.WRITE),)
    bench.shop.faults._left += [None]
    results = bench.channel.set_quantities(changes, "key")
    assert [result.status for result in results] == [ChangeStatus.DONE, ChangeStatus.REJECTED]
    assert results[1].reason == "not sent: rate_limited"
    assert bench.shop.product("SHIRT-RED").quantity == 50


def test_the_shop_refuses_what_the_vendor_refuses(bench: Bench) -> None:
    api, auth = f"{bench.base}/wp-json/wc/v3", ("ck_1", SECRET)
    for query in ({"per_page": 101}, {"orderby": "modified"}, {"modified_after": "yesterday"}, {"status": "open"}):
        answer = httpx.get(f"{api}/orders", params=query, auth=auth, timeout=60)
        assert (answer.status_code, answer.json()["code"]) == (400, "rest_invalid_param")
    rows = [{"id": n, "stock_quantity": 1} for n in range(1, 102)]
    assert httpx.post(f"{api}/products/batch", json={"update": rows}, auth=auth, timeout=60).status_code == 413
    answer = httpx.get(f"{api}/orders", params={"per_page": 1}, auth=("ck_1", "no"), timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (401, "woocommerce_rest_cannot_view")
    bench.sell("SKU-1"), bench.sell("SKU-1")
    answer = httpx.get(f"{api}/orders", params={"per_page": 1, "_fields": "id"}, auth=auth, timeout=60)
    assert answer.headers["x-wp-totalpages"] == "2" and 'rel="next"' in answer.headers["link"]
    assert list(answer.json()[0]) == ["id"]
    # Without dates_are_gmt the site's own time counts, an hour ahead of UTC here.
    for gmt, count in (("true", 0), ("false", 2)):
        params = {"modified_after": "2026-11-20T10:30:00", "dates_are_gmt": gmt}
        assert len(httpx.get(f"{api}/orders", params=params, auth=auth, timeout=60).json()) == count
