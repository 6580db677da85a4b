"""An imitated SQS queue (AWS JSON protocol 1.0), filled with Amazon's notifications as the shop changes.

At least once, in no particular order; a message that is not deleted comes again.
"""

import asyncio
import hashlib
import json
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from adapters.sandbox.amazon.amazon_documents import (
    Document,
    cancelled_units,
    fulfilled_by,
    order_name,
    stamp,
    status_of,
)
from adapters.sandbox.amazon.amazon_state import MARKETPLACE, OURS, SELLER, State
from adapters.sandbox.shop import Order, Product

PATH = "/000000000000/notifications"
VISIBILITY_S = 30.0
LATE_COPY_S = 1.0
STATUSES = {
    "PENDING": "Pending",
    "UNSHIPPED": "Unshipped",
    "SHIPPED": "Shipped",
    "PARTIALLY_SHIPPED": "PartiallyShipped",
    "CANCELLED": "Canceled",
}


@dataclass(slots=True)
class Message:
    message_id: str
    body: str
    visible_from: float
    receipt: str = ""


@dataclass(slots=True)
class Queue:
    state: State
    key_id: str
    messages: list[Message] = field(default_factory=list)
    deleted: int = 0
    _told: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(default_factory=list)

    def put(self, body: str, *, later_s: float = 0.0) -> None:
        """Thread safe."""
        message = Message(str(uuid.uuid4()), body, self.state.shop.monotonic() + later_s)
        with self._lock:
            self.messages.append(message)
            waiting, self._waiting = self._waiting, []
        for loop, event in waiting:
            loop.call_soon_threadsafe(event.set)

    def tell(self, notification: Document) -> None:
        """Queue a notification; each so many-th is delivered once more, a little later."""
        body = json.dumps(notification)
        self.put(body)
        self._told += 1
        every = self.state.habits.doubles_every
        if every and self._told % every == 0:
            self.put(body, later_s=LATE_COPY_S)

    def order_changed(self, order: Order, placed: bool) -> None:
        now = stamp(self.state.shop.now())
        payload = {"OrderChangeNotification": self._change(order, now)}
        self.tell(self._capitals("ORDER_CHANGE", payload, now))
        for product in {line.product.number: line.product for line in order.lines}.values():
            self.quantity_changed(product)

    def quantity_changed(self, product: Product) -> None:
        if not self.state.habits.tells_quantities or self.state.is_fba(product.sku):
            return
        payload = {
            "SellerId": SELLER,
            "FulfillmentChannelCode": OURS,
            "Sku": product.sku,
            "Quantity": max(0, product.quantity),
        }
        now = stamp(self.state.shop.now())
        self.tell(self._capitals("LISTINGS_ITEM_MFN_QUANTITY_CHANGE", payload, now))

    def feed_ended(self, feed: Document) -> None:
        now = stamp(self.state.shop.now())
        self.tell(
            {
                "notificationVersion": "2020-09-04",
                "notificationType": "FEED_PROCESSING_FINISHED",
                "payloadVersion": "2020-09-04",
                "eventTime": now,
                "payload": {"feedProcessingFinishedNotification": {**feed, "accountId": f"amzn1.merchant.o.{SELLER}"}},
                "notificationMetadata": {
                    "applicationId": "amzn1.sellerapps.app.sandbox",
                    "subscriptionId": "subscription-sandbox",
                    "publishTime": now,
                    "notificationId": str(uuid.uuid4()),
                },
            }
        )

    def _capitals(self, kind: str, payload: Document, now: str) -> Document:
        return {
            "NotificationVersion": "1.0",
            "NotificationType": kind,
            "PayloadVersion": "1.0",
            "EventTime": now,
            "Payload": payload,
            "NotificationMetadata": {
                "ApplicationId": "amzn1.sellerapps.app.sandbox",
                "SubscriptionId": "subscription-sandbox",
                "PublishTime": now,
                "NotificationId": str(uuid.uuid4()),
            },
        }

    def _change(self, order: Order, now: str) -> Document:
        status = STATUSES[status_of(order, self.state)]
        items = [
            {
                "OrderItemId": str(line.number),
                "SellerSKU": line.sku,
                "SupplySourceId": None,
                "Quantity": line.quantity - cancelled_units(order, line),
                "QuantityShipped": line.quantity if status == "Shipped" else 0,
            }
            for line in order.lines
        ]
        return {
            "NotificationLevel": "OrderLevel",
            "SellerId": SELLER,
            "AmazonOrderId": order_name(order.number),
            "OrderChangeType": "OrderStatusChange",
            "OrderChangeTrigger": {"TimeOfOrderChange": now, "ChangeReason": "Status Change"},
            "Summary": {
                "MarketplaceId": MARKETPLACE,
                "OrderStatus": status,
                "PurchaseDate": stamp(order.placed_at),
                "DestinationPostalCode": order.buyer.street,
                "FulfillmentType": "AFN" if fulfilled_by(order, self.state) == "AMAZON" else "MFN",
                "OrderType": "StandardOrder",
                "OrderItems": items,
            },
        }

    async def answer(self, request: Request) -> Response:
        """One call of the SQS API."""
        if f"Credential={self.key_id}/" not in request.headers.get("authorization", ""):
            return _error(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        target = request.headers.get("x-amz-target", "").removeprefix("AmazonSQS.")
        body = json.loads(await request.body() or b"{}")
        if not str(body.get("QueueUrl", "")).endswith(PATH):
            return _error(400, "QueueDoesNotExist", "The specified queue does not exist.")
        if target == "ReceiveMessage":
            found = await self._receive(int(body.get("MaxNumberOfMessages", 1)), float(body.get("WaitTimeSeconds", 0)))
            return _aws({"Messages": found} if found else {})
        if target == "DeleteMessage":
            self._delete(str(body.get("ReceiptHandle")))
            return _aws({})
        if target == "DeleteMessageBatch":
            for entry in body["Entries"]:
                self._delete(str(entry["ReceiptHandle"]))
            return _aws({"Successful": [{"Id": entry["Id"]} for entry in body["Entries"]], "Failed": []})
        return _error(400, "InvalidAction", "The action is not known here.")

    async def _receive(self, most: int, wait_s: float) -> list[dict[str, Any]]:
        loop, until = asyncio.get_running_loop(), asyncio.get_running_loop().time() + wait_s
        while True:
            event = asyncio.Event()
            found = self._take(most)
            left = until - loop.time()
            if found or left <= 0:
                return found
            with self._lock:
                self._waiting.append((loop, event))
            try:
                # What becomes visible by the passing of time wakes nobody.
                await asyncio.wait_for(event.wait(), min(left, LATE_COPY_S / 2))
            except TimeoutError:
                continue

    def _take(self, most: int) -> list[dict[str, Any]]:
        now = self.state.shop.monotonic()
        with self._lock:
            found = [message for message in self.messages if message.visible_from <= now][:most]
            for message in found:
                message.visible_from = now + VISIBILITY_S
                message.receipt = uuid.uuid4().hex
        return [
            {
                "MessageId": message.message_id,
                "ReceiptHandle": message.receipt,
                "MD5OfBody": hashlib.md5(message.body.encode(), usedforsecurity=False).hexdigest(),
                "Body": message.body,
            }
            for message in found
        ]

    def _delete(self, receipt: str) -> None:
        with self._lock:
            before = len(self.messages)
            self.messages = [message for message in self.messages if not receipt or message.receipt != receipt]
            self.deleted += before - len(self.messages)


def _aws(body: Document) -> Response:
    return JSONResponse(body, media_type="application/x-amz-json-1.0")


def _error(status: int, code: str, message: str) -> Response:
    body = {"__type": f"com.amazonaws.sqs#{code}", "message": message}
    return JSONResponse(body, status_code=status, media_type="application/x-amz-json-1.0")
