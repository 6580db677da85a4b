"""What each kind of outside data looks like when it is as it should be. Names and addresses are in it as vendors send
them, so that the tests see whether any goes further than it may."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PERSONAL = ("Wilhelmina Quist", "w.quist@private.example", "+31 6 5551 2345", "Herengracht 501")
NAME, MAIL, PHONE, STREET = PERSONAL
PERSON: dict[str, Any] = {"name": NAME, "email": MAIL, "phone": PHONE, "address": {"line1": STREET}}
DAY = "2026-11-20T10:00:00"


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def document(name: str) -> bytes:
    return (ROOT / name).read_bytes()


SHOPIFY_ORDER = {
    "node": {
        "id": "gid://shopify/Order/7", "createdAt": f"{DAY}Z", "updatedAt": f"{DAY}Z", "cancelledAt": None,
        "cancelReason": None, "test": False, "customer": PERSON, "email": MAIL,
        "refunds": [{"id": "gid://shopify/Refund/1"}],
        "lineItems": {"pageInfo": {"hasNextPage": False, "endCursor": None}, "nodes": []},
    },
    "lines": [
        {
            "id": "gid://shopify/LineItem/1", "sku": "A", "quantity": 5, "currentQuantity": 3, "unfulfilledQuantity": 2,
            "nonFulfillableQuantity": 1, "variant": {"inventoryItem": {"id": "gid://shopify/InventoryItem/9"}},
        }
    ],
    "refunds": [
        {
            "id": "gid://shopify/Refund/1", "processedAt": f"{DAY}Z",
            "lines": [
                {
                    "id": "gid://shopify/RefundLineItem/1", "quantity": 1, "restockType": "RETURN", "restocked": True,
                    "lineItem": {"id": "gid://shopify/LineItem/1"}, "location": {"id": "gid://shopify/Location/1"},
                }
            ],
        }
    ],
}  # fmt: skip
SHOPIFY_VARIANTS = [
    {
        "id": "gid://shopify/ProductVariant/1", "sku": "A", "displayName": "A mug", "inventoryPolicy": "DENY",
        "product": {"status": "ACTIVE", "publishedAt": f"{DAY}Z"},
        "inventoryItem": {
            "id": "gid://shopify/InventoryItem/9", "tracked": True,
            "inventoryLevel": {"isActive": True, "quantities": [{"name": "available", "quantity": 4}]},
        },
    }
]  # fmt: skip
WOOCOMMERCE_ORDER = {
    "order": {
        "id": 7, "status": "completed", "date_created_gmt": DAY, "date_modified_gmt": DAY, "date_completed_gmt": DAY,
        "billing": {"first_name": NAME, "email": MAIL, "phone": PHONE, "address_1": STREET},
        "customer_note": f"for {NAME}", "meta_data": [{"key": "_onhand_hold", "value": "h-1"}],
        "line_items": [
            {
                "id": 1, "product_id": 10, "variation_id": 0, "sku": "A", "quantity": 3,
                "meta_data": [{"key": "_reduced_stock", "value": "3"}],
            }
        ],
    },
    "refunds": [
        {
            "id": 8, "reason": "damaged", "date_created_gmt": DAY, "refunded_by": NAME,
            "line_items": [
                {
                    "id": 9, "product_id": 10, "variation_id": 0, "sku": "A", "quantity": -1,
                    "meta_data": [{"key": "_refunded_item_id", "value": "1"}],
                }
            ],
        }
    ],
}  # fmt: skip
_BC_LINE = {
    "id": 1, "product_id": 10, "variant_id": 11, "sku": "A", "quantity": 3, "quantity_shipped": 1, "type": "physical",
}  # fmt: skip
BIGCOMMERCE_ORDER = {
    "order": {
        "id": 7, "status_id": 5, "date_created": "Fri, 20 Nov 2026 10:00:00 +0000", "items_total": 3,
        "date_modified": "Fri, 20 Nov 2026 10:00:00 +0000", "billing_address": {"first_name": NAME, "email": MAIL},
        "consignments": {"shipping": [{"line_items": [_BC_LINE], "first_name": NAME, "street_1": STREET}]},
    },
    "items": [_BC_LINE],
    "refunds": [
        {"id": 8, "created": f"{DAY}+00:00", "items": [{"item_type": "PRODUCT", "item_id": 1, "quantity": 1}]},
    ],
}  # fmt: skip
EBAY_ORDER = {
    "orderId": "12-34567-89012", "creationDate": f"{DAY}.000Z", "lastModifiedDate": f"{DAY}.000Z",
    "orderPaymentStatus": "PARTIALLY_REFUNDED", "buyer": {"username": NAME, "buyerRegistrationAddress": PERSON},
    "cancelStatus": {"cancelState": "NONE_REQUESTED", "cancelRequests": [{"cancelReason": "BUYER_ASKED"}]},
    "lineItems": [
        {
            "lineItemId": "1", "sku": "A", "legacyItemId": "110", "quantity": 2,
            "lineItemFulfillmentStatus": "FULFILLED", "lineItemCost": {"value": "20.00", "currency": "USD"},
            "discountedLineItemCost": {"value": "18.00", "currency": "USD"},
            "refunds": [
                {"amount": {"value": "9.00", "currency": "USD"}, "refundDate": f"{DAY}.000Z"},
                {"amount": {"value": "9.00", "currency": "USD"}, "refundDate": f"{DAY}.000Z"},
            ],
        }
    ],
}  # fmt: skip
AMAZON_ORDER = {
    "orderId": "902-1", "createdTime": f"{DAY}Z", "lastUpdatedTime": f"{DAY}Z", "buyer": PERSON,
    "recipient": {"deliveryAddress": {"name": NAME, "addressLine1": STREET, "phone": PHONE}},
    "fulfillment": {"fulfilledBy": "MERCHANT", "fulfillmentStatus": "PARTIALLY_SHIPPED"},
    "orderItems": [
        {
            "orderItemId": "1", "quantityOrdered": 5, "product": {"sellerSku": "A", "title": "A mug"},
            "fulfillment": {"quantityFulfilled": 1, "quantityUnfulfilled": 2},
            "cancellation": {"cancellationExecution": {"cancelReason": "No inventory", "cancelledBy": "SELLER"}},
        }
    ],
}  # fmt: skip
AMAZON_LISTING = {
    "sku": "A", "summaries": [{"itemName": "A mug", "createdDate": f"{DAY}Z", "status": ["BUYABLE"]}],
    "fulfillmentAvailability": [{"fulfillmentChannelCode": "DEFAULT", "quantity": 4}],
}  # fmt: skip
AMAZON_REPORT = {
    "header": {"feedId": "1"}, "issues": [{"messageId": 1, "code": "4000001", "severity": "ERROR", "message": "no"}],
    "summary": {"messagesAccepted": 3},
}  # fmt: skip
AMAZON_NOTICE = {
    "notificationType": "ORDER_CHANGE", "notificationMetadata": {"notificationId": "n-1"},
    "payload": {
        "OrderChangeNotification": {"AmazonOrderId": "902-1", "Summary": {"FulfillmentType": "MFN"}, "Buyer": PERSON},
    },
}  # fmt: skip
PORTAL_ORDERS = {
    "orders": [
        {
            "id": "P-7", "placed_at": f"{DAY}Z", "changed_at": f"{DAY}Z", "state": "cancelled", "test": False,
            "reservation_key": "h-1", "buyer": PERSON, "cancellation": {"reason": "customer_request"},
            "lines": [{"id": "1", "article": "X1", "sku": "A", "ordered": 5, "open": 3}],
            "adjustments": [
                {
                    "id": "c1", "kind": "cancelled", "reason": "fraud", "restocked": True, "at": f"{DAY}Z",
                    "lines": [{"line": "1", "quantity": 1}],
                }
            ],
        }
    ],
    "next_cursor": None,
}  # fmt: skip
PORTAL_RESULTS = {"results": [{"article": "X1", "result": "updated", "available": 4}], "by": NAME}
PREFERENCES = (
    b'<?xml version="1.0" encoding="utf-8"?><GetUserPreferencesResponse xmlns="urn:ebay:apis:eBLBaseComponents">'
    b"<Ack>Success</Ack><OutOfStockControlPreference>true</OutOfStockControlPreference>"
    b"<Errors><ErrorCode>931</ErrorCode></Errors></GetUserPreferencesResponse>"
)


def call(body: Any, **headers: str) -> bytes:
    """A webhook: its headers and its body."""
    return as_json({"headers": {name.replace("_", "-"): value for name, value in headers.items()}, "body": body})


SHOPIFY_CALLS = [
    call(
        {"id": 7, "admin_graphql_api_id": "gid://shopify/Order/7", "email": MAIL, "customer": PERSON},
        x_shopify_topic="orders/updated", x_shopify_webhook_id="b54557e4-bdd9-4b37",
        x_shopify_shop_domain="a-shop.myshopify.com",
    ),
    call(
        {"inventory_item_id": 9, "location_id": 1, "available": 3},
        x_shopify_topic="inventory_levels/update", x_shopify_webhook_id="b54557e4-bdd9-4b38",
        x_shopify_shop_domain="a-shop.myshopify.com",
    ),
    call(
        {"order_edit": {"order_id": 7}}, x_shopify_topic="orders/edited", x_shopify_webhook_id="b54557e4-bdd9-4b39",
        x_shopify_shop_domain="a-shop.myshopify.com",
    ),
]  # fmt: skip
WOOCOMMERCE_CALLS = [
    call(
        {"id": 7, "date_modified_gmt": DAY, "billing": {"email": MAIL, "first_name": NAME}},
        x_wc_webhook_topic="order.updated", x_wc_webhook_delivery_id="d-1", x_wc_webhook_signature="YWJj",
        x_wc_webhook_source="https://shop.example/",
    ),
    call(
        {"id": 7, "parent_id": 3, "stock_quantity": 3}, x_wc_webhook_topic="product.updated",
        x_wc_webhook_delivery_id="d-2", x_wc_webhook_signature="YWJj", x_wc_webhook_source="https://shop.example/",
    ),
]  # fmt: skip
BIGCOMMERCE_CALLS = [
    call(
        {
            "scope": "store/order/updated", "data": {"type": "order", "id": 7}, "hash": "0123456789abcdef",
            "created_at": 1763632800, "producer": "stores/abc",
        },
        x_onhand_secret="s", webhook_id="msg_1", webhook_timestamp="1763632800", webhook_signature="v1,YWJj",
    ),
    call(
        {
            "scope": "store/channel/1/inventory/product/stock_changed", "data": {"product_id": 10, "variant_id": 11},
            "hash": "0123456789abcdef", "created_at": 1763632800,
        },
        x_onhand_secret="s",
    ),
]  # fmt: skip
EBAY_CALL = call(
    {
        "metadata": {"topic": "ORDER_CONFIRMATION", "schemaVersion": "1.0"},
        "notification": {"notificationId": "n-1", "data": {"order": {"orderId": "12-34567-89012", "buyer": PERSON}}},
    },
    x_ebay_signature="eyJhbGciOiJlY2RzYSIsImtpZCI6ImsxIiwic2lnbmF0dXJlIjoiWVdKaiIsImRpZ2VzdCI6IlNIQTEifQ==",
)
PORTAL_CALL = call(
    {"event": "e-1", "type": "order.changed", "order": "P-7", "articles": ["X1"], "buyer": PERSON},
    x_portal_signature="v1=" + "ab" * 32, x_portal_timestamp="1763632800",
)  # fmt: skip
ASKS = [
    as_json({"key": "checkout-8731", "lines": [{"sku": "A", "quantity": 2}], "ttl_seconds": 600, "partial": False}),
    as_json({"lines": [{"listing_ref": "X1", "quantity": 2}]}),
]
ORDERS_CSV = (
    b"ts,order_id,line,sku,qty,is_cancellation,unit_price,customer,country\n"
    b"2026-11-20T10:00:00,O1,1,A,3,false,2.50," + MAIL.encode() + b",NL\n"
    b"2026-11-20T10:00:00,O1,2,B,1,0,0,,NL\n2026-11-21T11:30:00+01:00,C1,1,A,-3,yes,2.50,17850,\n"
)
EXPORT_CSV = b'Handle,Title,Variant SKU,Available,Location\nmug,A mug,A,12,Main\nmug,A mug,B,"1,200",Main\nx,,,,\n'
FEED_CSV = "Artikelnummer;Bestand;Nächste Lieferung;Notiz\nA-1;12;21.11.2026;x, y\nB-2;in stock;;\n".encode("cp1252")
FEED_JSON = as_json(
    {
        "data": {
            "generated_at": f"{DAY}Z",
            "articles": [{"id": "A-1", "stock": {"free": 12, "next_delivery": "2026-12-01"}}, {"id": 7, "stock": {}}],
        }
    }
)
FEED_XML = (
    b'<?xml version="1.0" encoding="utf-8"?><stock xmlns="urn:x" at="2026-11-20"><article no="A-1"><free>12</free>'
    b"<next>2026-12-01</next></article><article no='B-2'><free>&#51;</free></article></stock>"
)
RACI = document("raci.toml")
CHANNELS = document("docs/channels.example.toml")
PORTAL = document("docs/portal.example.toml")
SUPPLIERS = document("docs/suppliers.example.toml")
ALERTS = document("docs/alerts.example.toml")
POLICY = document("docs/policy.example.toml")
