"""The JSON of eBay's Sell APIs, as the imitated vendor writes it. Source of the shapes: the Fulfillment and
Inventory APIs' documents. Dates have milliseconds and a `Z`, money is a string."""

from datetime import UTC, datetime
from typing import Any

from adapters.sandbox.ebay.ebay_stock import Stock
from adapters.sandbox.shop import Line, Order, Product, Reversal

Document = dict[str, Any]
PRICE = 10
CANCEL_REASONS = {
    "customer": "BUYER_ASKED_CANCEL",
    "payment": "ORDER_UNPAID",
    "inventory": "OUT_OF_STOCK_OR_CANNOT_FULFILL",
}


def order_id(number: int) -> str:
    return f"{number % 90 + 10}-{number % 100_000:05d}-{number:05d}"


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def order_document(order: Order, stock: Stock, *, whole: bool) -> Document:
    """`whole`: as getOrder has it; getOrders leaves the cancellation requests out."""
    total = sum(line.quantity for line in order.lines) * PRICE
    return {
        "orderId": order_id(order.number),
        "creationDate": stamp(order.placed_at),
        "lastModifiedDate": stamp(order.updated_at),
        "orderFulfillmentStatus": _fulfilment(order),
        "orderPaymentStatus": _payment(order),
        "sellerId": "onhand-sandbox",
        "buyer": {
            "username": order.buyer.name.lower().replace(" ", "_"),
            "buyerRegistrationAddress": _contact(order),
        },
        "buyerCheckoutNotes": order.buyer.note,
        "pricingSummary": {"priceSubtotal": _money(total), "total": _money(total)},
        "cancelStatus": _cancel_status(order, whole),
        "paymentSummary": {"totalDueSeller": _money(total), "refunds": [], "payments": []},
        "fulfillmentStartInstructions": [
            {
                "fulfillmentInstructionsType": "SHIP_TO",
                "shippingStep": {"shipTo": _contact(order), "shippingServiceCode": "USPSPriority"},
            }
        ],
        "fulfillmentHrefs": [],
        "lineItems": [_line(order, line, stock) for line in order.lines],
        "totalFeeBasisAmount": _money(total),
    }


def item_document(product: Product, stock: Stock, locations: tuple[str, ...]) -> Document:
    quantity = stock.item_quantity(product)
    available: Document = {"quantity": quantity, "allocationByFormat": {"auction": 0, "fixedPrice": quantity}}
    if locations:
        available["availabilityDistributions"] = [
            {"merchantLocationKey": key, "quantity": quantity if number == 0 else 0}
            for number, key in enumerate(locations)
        ]
    return {
        "sku": product.sku,
        "locale": "en_US",
        "condition": "NEW",
        "product": {"title": product.title, "imageUrls": []},
        "availability": {"shipToLocationAvailability": available},
        "inventoryItemGroupKeys": [],
    }


def offer_document(product: Product, stock: Stock) -> Document:
    ended = product.number in stock.ended or product.number in stock.unpublished
    document = {
        "offerId": stock.offer_id(product),
        "sku": product.sku,
        "marketplaceId": "EBAY_US",
        "format": "FIXED_PRICE",
        "availableQuantity": stock.offer_quantity(product),
        "categoryId": "1",
        "pricingSummary": {"price": _money(PRICE)},
        "listingDuration": "GTC",
        "status": "UNPUBLISHED" if ended else "PUBLISHED",
    }
    if product.number not in stock.unpublished:
        document["listing"] = {
            "listingId": stock.listing_id(product),
            "listingStatus": stock.listing_status(product),
            "soldQuantity": product.committed,
        }
    return document


def _line(order: Order, line: Line, stock: Stock) -> Document:
    made = [reversal for reversal in order.reversals if reversal.line == line.number]
    sent = any(reversal.how == "return" for reversal in made)
    return {
        "lineItemId": str(line.number),
        "legacyItemId": stock.listing_id(line.product),
        "legacyVariationId": "0",
        "sku": line.sku,
        "title": line.product.title,
        "soldFormat": "FIXED_PRICE",
        "listingMarketplaceId": "EBAY_US",
        "purchaseMarketplaceId": "EBAY_US",
        "quantity": line.quantity,
        "lineItemCost": _money(line.quantity * PRICE),
        "total": _money(line.quantity * PRICE),
        "deliveryCost": {"shippingCost": _money(0)},
        "taxes": [],
        "lineItemFulfillmentStatus": "FULFILLED" if sent else "NOT_STARTED",
        "properties": {"buyerProtection": True},
        "refunds": [_refund(reversal) for reversal in made if reversal.how in ("refund", "return")],
    }


def _refund(reversal: Reversal) -> Document:
    return {
        "amount": _money(reversal.quantity * PRICE),
        "refundDate": stamp(reversal.occurred_at),
        "refundId": f"5{reversal.number:09d}",
    }


def _cancel_status(order: Order, whole: bool) -> Document:
    if order.cancelled_at is None:
        return {"cancelState": "NONE_REQUESTED", "cancelRequests": []}
    reason = str(order.cancel_reason)
    request = {
        "cancelRequestId": f"5{order.number:09d}",
        "cancelInitiator": "Buyer" if reason == "customer" else "Seller",
        "cancelReason": CANCEL_REASONS.get(reason, "OTHER_SELLER_CANCEL_REASON"),
        "cancelRequestState": "COMPLETED",
        "cancelRequestedDate": stamp(order.cancelled_at),
        "cancelCompletedDate": stamp(order.cancelled_at),
    }
    return {
        "cancelState": "CANCELED",
        "cancelledDate": stamp(order.cancelled_at),
        "cancelRequests": [request] if whole else [],
    }


def _payment(order: Order) -> str:
    gone = sum(reversal.quantity for reversal in order.reversals if reversal.how != "remove")
    if order.cancelled_at is not None or gone >= sum(line.quantity for line in order.lines):
        return "FULLY_REFUNDED"
    return "PARTIALLY_REFUNDED" if gone else "PAID"


def _fulfilment(order: Order) -> str:
    sent = {reversal.line for reversal in order.reversals if reversal.how == "return"}
    return "NOT_STARTED" if not sent else "FULFILLED" if len(sent) == len(order.lines) else "IN_PROGRESS"


def _contact(order: Order) -> Document:
    return {
        "fullName": order.buyer.name,
        "email": order.buyer.email,
        "primaryPhone": {"phoneNumber": order.buyer.phone},
        "contactAddress": {
            "addressLine1": order.buyer.street,
            "city": "Springfield",
            "postalCode": "12345",
            "countryCode": "US",
        },
    }


def _money(amount: int) -> Document:
    return {"value": f"{amount}.0", "currency": "USD"}
