"""The imitated eBay's stock: two levels of quantity, revisions by listing and day, listings that end at zero."""

from collections import Counter
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from adapters.sandbox.shop import Order, Product, Shop, ShopError

Document = dict[str, Any]
REVISIONS_PER_DAY = 250
EBAY_TIME = ZoneInfo("America/Los_Angeles")


class Refusal(Exception):
    """A row, or a whole call, that eBay refuses."""

    def __init__(self, status: int, error_id: int, message: str, **parameters: str) -> None:
        super().__init__(message)
        self.status = status
        self.error: Document = {
            "errorId": error_id,
            "domain": "API_INVENTORY" if 25000 <= error_id < 26000 else "API_FULFILLMENT",
            "category": "APPLICATION" if status >= 500 else "REQUEST",
            "message": message,
            "parameters": [{"name": name, "value": value} for name, value in parameters.items()],
        }


class Stock:
    """The shop's `quantity` is what the listing shows: the lower of the item's and the offer's. A sale takes
    from both. Call with the shop's lock held."""

    def __init__(self, shop: Shop, *, out_of_stock_control: bool) -> None:
        self._shop = shop
        self.out_of_stock_control = out_of_stock_control
        self.revisions: Counter[tuple[str, date]] = Counter()
        self.ended: set[int] = set()
        self.unpublished: set[int] = set()
        self.groups: dict[int, str] = {}
        """Number of a product that is a variation → id of the listing that it shares."""
        self._spare_item: Counter[int] = Counter()
        self._spare_offer: Counter[int] = Counter()
        shop.on_change.append(self._after_change)

    def product(self, sku: Any) -> Product:
        try:
            return self._shop.product(str(sku))
        except ShopError:
            raise Refusal(404, 25702, f"SKU {sku} is not available in the system", sku=str(sku)) from None

    def listing_id(self, product: Product) -> str:
        return self.groups.get(product.number, f"1{product.number:011d}")

    def offer_id(self, product: Product) -> str:
        return f"8{product.number:09d}"

    def listing_status(self, product: Product) -> str:
        if product.number in self.ended:
            return "ENDED"
        if not product.listed:
            return "INACTIVE"
        return "ACTIVE" if product.quantity > 0 else "OUT_OF_STOCK"

    def item_quantity(self, product: Product) -> int:
        return max(0, product.quantity) + self._spare_item[product.number]

    def offer_quantity(self, product: Product) -> int:
        return max(0, product.quantity) + self._spare_offer[product.number]

    def set_levels(self, product: Product, item: int | None, offer: int | None) -> None:
        """Counts one revision. Absolute: what was sold since the number was computed is put back."""
        for quantity in (item, offer):
            if quantity is not None and (isinstance(quantity, bool) or not isinstance(quantity, int) or quantity < 0):
                raise Refusal(400, 25709, "Invalid value for quantity.", fieldName="quantity")
        if offer is not None and (product.number in self.ended or product.number in self.unpublished):
            raise Refusal(400, 25713, "This Offer is not available.")
        self._count(product)
        item = self.item_quantity(product) if item is None else item
        offer = self.offer_quantity(product) if offer is None else offer
        shown = min(item, offer)
        self._spare_item[product.number], self._spare_offer[product.number] = item - shown, offer - shown
        self._shop.set_quantity(product.number, shown, by="api")
        self._end_if_empty(product)

    def _count(self, product: Product) -> None:
        key = self.listing_id(product), self._shop.now().astimezone(EBAY_TIME).date()
        if self.revisions[key] >= REVISIONS_PER_DAY:
            what = f"21919165: each listing can be revised {REVISIONS_PER_DAY} times a day"
            raise Refusal(400, 25002, f"Any User error. {what}", additionalInfo=what)
        self.revisions[key] += 1

    def _after_change(self, order: Order, placed: bool) -> None:
        for line in order.lines:
            if line.product.number in self.ended:
                # Units that come back do not bring an ended listing back.
                line.product.quantity = 0
            self._end_if_empty(line.product)

    def _end_if_empty(self, product: Product) -> None:
        if product.quantity <= 0 and not self.out_of_stock_control:
            self.ended.add(product.number)
            product.listed = False
