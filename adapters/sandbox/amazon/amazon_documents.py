"""The JSON of the Selling Partner API, as an imitated Amazon writes it. Shapes: the vendor's own models."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from adapters.sandbox.amazon.amazon_state import FBA, MARKETPLACE, OURS, State
from adapters.sandbox.shop import Line, Order, Product

Document = dict[str, Any]
ASIN = "B0SANDBOX0"
EXECUTIONS = {
    "customer": ("BUYER", "BuyerCanceled"),
    "payment": ("AMAZON", "PaymentDeclined"),
    "fraud": ("AMAZON", "RiskAssessmentInformationNotValid"),
    "inventory": ("MERCHANT", "NoInventory"),
    "damaged": ("MERCHANT", "MerchandiseDamaged"),
}
OTHER_EXECUTION = ("MERCHANT", "GeneralAdjustment")


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def order_name(number: int) -> str:
    """Three digits, seven and seven, as Amazon writes them; the last are the number."""
    return f"902-{number // 10_000_000:07d}-{number % 10_000_000:07d}"


def status_of(order: Order, state: State) -> str:
    return "CANCELLED" if order.cancelled_at else state.statuses.get(order.number, "PENDING")


def fulfilled_by(order: Order, state: State) -> str:
    return "AMAZON" if all(state.is_fba(line.sku) for line in order.lines) else "MERCHANT"


def order_document(order: Order, state: State, data: Collection[str]) -> Document:
    status, by = status_of(order, state), fulfilled_by(order, state)
    document: Document = {
        "orderId": order_name(order.number),
        "createdTime": stamp(order.placed_at),
        "lastUpdatedTime": stamp(order.updated_at),
        "programs": [],
        "salesChannel": {
            "channelName": "AMAZON",
            "marketplaceId": MARKETPLACE,
            "marketplaceName": "Amazon.com",
        },
        "fulfillment": {"fulfillmentStatus": status, "fulfilledBy": by, "fulfillmentServiceLevel": "STANDARD"},
        "orderItems": [
            _item(order, line, status, data) for line in order.lines if by == "AMAZON" or not state.is_fba(line.sku)
        ],
    }
    buyer = order.buyer
    if "BUYER" in data:
        document["buyer"] = {"buyerName": buyer.name, "buyerEmail": buyer.email}
    if "RECIPIENT" in data:
        address = {"name": buyer.name, "addressLine1": buyer.street, "phone": buyer.phone, "countryCode": "US"}
        document["recipient"] = {
            "deliveryAddress": address,
            "deliveryPreference": {"addressInstruction": buyer.note},
        }
    return document


def cancelled_units(order: Order, line: Line) -> int:
    """Returns of what was sent are not told of here."""
    return sum(one.quantity for one in order.reversals if one.line == line.number and one.how != "return")


def _item(order: Order, line: Line, status: str, data: Collection[str]) -> Document:
    gone = cancelled_units(order, line)
    item: Document = {
        "orderItemId": str(line.number),
        "quantityOrdered": line.quantity,
        "product": {
            "asin": ASIN,
            "title": line.product.title,
            "sellerSku": line.sku,
            "condition": {"conditionType": "NEW", "conditionSubtype": "NEW"},
            "price": {"unitPrice": {"amount": "10.00", "currencyCode": "USD"}},
        },
    }
    if "FULFILLMENT" in data:
        left = line.quantity - gone
        sent = left if status == "SHIPPED" else 0
        item["fulfillment"] = {"quantityFulfilled": sent, "quantityUnfulfilled": left - sent}
    told = [one for one in order.reversals if one.line == line.number and one.how != "return"]
    if "CANCELLATION" in data and told:
        # Amazon leaves units off its counter for one reason only.
        reason = told[-1].reason if told[-1].restocked else "inventory"
        by, why = EXECUTIONS.get(reason, OTHER_EXECUTION)
        item["cancellation"] = {"cancellationExecution": {"cancelledBy": by, "cancelReason": why}}
    return item


def item_document(product: Product, state: State, data: Collection[str], created: datetime) -> Document:
    document: Document = {"sku": product.sku}
    fba = state.is_fba(product.sku)
    if "summaries" in data:
        buyable = product.listed and product.quantity > 0
        document["summaries"] = [
            {
                "marketplaceId": MARKETPLACE,
                "asin": ASIN,
                "productType": "PRODUCT",
                "conditionType": "new_new",
                "status": (["BUYABLE"] if buyable else []) + (["DISCOVERABLE"] if product.listed else []),
                "itemName": product.title,
                "createdDate": stamp(created),
                "lastUpdatedDate": stamp(created),
            }
        ]
    if "attributes" in data:
        document["attributes"] = state.attributes_of(product)
    if "issues" in data:
        document["issues"] = []
    if "fulfillmentAvailability" in data:
        ours = {"fulfillmentChannelCode": OURS, "quantity": max(0, product.quantity)}
        document["fulfillmentAvailability"] = [{"fulfillmentChannelCode": FBA} if fba else ours]
    return document


def summary_document(product: Product, state: State, now: datetime, details: bool) -> Document:
    stock = state.fba[product.sku]
    inbound = stock.inbound_working + stock.inbound_shipped + stock.inbound_receiving
    document: Document = {
        "asin": ASIN,
        "fnSku": f"X{product.number:09d}",
        "sellerSku": product.sku,
        "condition": "NewItem",
        "lastUpdatedTime": stamp(now),
        "productName": product.title,
        "totalQuantity": product.quantity + inbound + stock.reserved + stock.unfulfillable,
    }
    if details:
        document["inventoryDetails"] = {
            "fulfillableQuantity": product.quantity,
            "inboundWorkingQuantity": stock.inbound_working,
            "inboundShippedQuantity": stock.inbound_shipped,
            "inboundReceivingQuantity": stock.inbound_receiving,
            "reservedQuantity": {
                "totalReservedQuantity": stock.reserved,
                "pendingCustomerOrderQuantity": stock.reserved,
                "pendingTransshipmentQuantity": 0,
                "fcProcessingQuantity": 0,
            },
            "researchingQuantity": {"totalResearchingQuantity": 0, "researchingQuantityBreakdown": []},
            "unfulfillableQuantity": {"totalUnfulfillableQuantity": stock.unfulfillable},
        }
    return document
