"""Taking a WooCommerce shop off sale and putting it back.

The shop has no switch for the whole. Each listing is counted, set to 0 and kept from being backordered; what
is remembered of it are its switches, and only they are put back.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.channels.protocol import PauseState, Remember, forget
from adapters.channels.woocommerce.woocommerce_client import Ref, WooCommerceClient, batches, parse_ref, ref_text
from adapters.channels.woocommerce.woocommerce_orders import order_number, units
from adapters.http import ChannelFault, Resolution

SWITCH_FIELDS = "id,type,manage_stock,backorders,stock_status"
PAUSED = {"manage_stock": True, "stock_quantity": 0, "backorders": "no"}
BACKORDERS = ("no", "notify", "yes")
STATUSES = ("instock", "outofstock", "onbackorder")
GONE = frozenset({"woocommerce_rest_product_invalid_id", "woocommerce_rest_product_variation_invalid_id"})

Row = Mapping[str, Any]
Switches = dict[Ref, dict[str, Any]]


def pause(client: WooCommerceClient, listing_refs: Sequence[str], remember: Remember = forget) -> PauseState:
    """See the protocol. A variation that shares its parent's stock is stopped with its parent.

    All or nothing, as far as the switches go: when a call fails, those that were turned already are put
    back before the fault is raised. The zeros stay.
    """
    before = _switches(client, [ref for text in dict.fromkeys(listing_refs) if (ref := parse_ref(text))])
    state: PauseState = {"listings": {ref_text(ref): switches for ref, switches in before.items()}}
    remember(state)
    tried: Switches = {}
    try:
        for path, refs in batches(list(before)):
            tried |= {ref: before[ref] for ref in refs}
            _write(client, path, {ref: PAUSED for ref in refs})
    except ChannelFault:
        _put_back(client, tried)
        raise
    return state


def resume(client: WooCommerceClient, state: PauseState) -> None:
    """See the protocol. What is no state of ours is a ValueError."""
    listings = state.get("listings")
    if not isinstance(listings, dict):
        raise ValueError("not the state of a pause of a WooCommerce shop")
    _put_back(client, {ref: switches for text, switches in listings.items() if (ref := parse_ref(text))})


def _put_back(client: WooCommerceClient, before: Switches) -> None:
    turned = {ref: row for ref, row in before.items() if row["manage_stock"] is not True or row["backorders"] != "no"}
    for path, refs in batches(list(turned)):
        _write(client, path, {ref: turned[ref] for ref in refs})


def _switches(client: WooCommerceClient, refs: Sequence[Ref]) -> Switches:
    found = client.read_listings(refs, SWITCH_FIELDS)
    counted_above = {product for (product, _), row in found.items() if row.get("manage_stock") == "parent"}
    parents = [(product, None) for product in counted_above if (product, None) not in found]
    rows = {ref: row for ref, row in found.items() if row.get("manage_stock") != "parent"}
    rows |= client.read_listings(parents, SWITCH_FIELDS)
    return {ref: _before(client, ref, row) for ref, row in rows.items() if not _only_a_frame(row)}


def _only_a_frame(row: Row) -> bool:
    """A variable product that does not count for its variations: nobody can buy the product itself."""
    return str(row.get("type")).startswith("variable") and row.get("manage_stock") is False


def _before(client: WooCommerceClient, ref: Ref, row: Row) -> dict[str, Any]:
    managed, backorders, status = row.get("manage_stock"), row.get("backorders"), row.get("stock_status")
    if not isinstance(managed, bool) or backorders not in BACKORDERS:
        client.malformed(f"the switches of {ref_text(ref)} are not what they should be")
    kept: dict[str, Any] = {"manage_stock": managed, "backorders": backorders}
    # Where nothing is counted, the status itself is the switch.
    return kept if managed or status not in STATUSES else {**kept, "stock_status": status}


def _write(client: WooCommerceClient, path: str, wanted: Mapping[Ref, Row]) -> None:
    """Raises ChannelFault unless every row that still exists shows what was written."""
    rows = [{"id": variation or product, **values} for (product, variation), values in wanted.items()]
    updated = client.update(path, rows)
    if updated is None:
        raise ChannelFault(client.code, Resolution.UNKNOWN, f"POST {path}: the answer names no rows")
    answered = {number: row for row in updated if (number := order_number(row)) is not None}
    for row in rows:
        answer = answered.get(row["id"], {})
        error = answer.get("error")
        code = str(error.get("code")) if isinstance(error, Mapping) else None
        shown = {**answer, "stock_quantity": units(answer.get("stock_quantity"))}
        if code not in GONE and any(shown.get(name) != value for name, value in row.items()):
            what = f"POST {path}: {row['id']} {code or 'shows other switches'}"
            raise ChannelFault(client.code, Resolution.REJECT, what, code=code)
