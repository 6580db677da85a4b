"""Feeds of an imitated Amazon: presigned documents, queueing, processing, the report."""

import gzip
import hmac
import json
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from adapters.sandbox.amazon.amazon_documents import Document, stamp
from adapters.sandbox.amazon.amazon_listings import Listings
from adapters.sandbox.amazon.amazon_state import MARKETPLACE, SELLER, State
from adapters.sandbox.amazon.amazon_wire import Refused

FEED_TYPE = "JSON_LISTINGS_FEED"
SIGNED_FOR_S = 300.0
MOST_MESSAGES = 25_000


@dataclass(slots=True)
class Stored:
    """One document, at its signed address."""

    document_id: str
    signature: str
    until: float
    content: bytes | None = None
    packed: bool = False


@dataclass(slots=True)
class Feed:
    feed_id: str
    document: Stored
    created_at: datetime
    starts: float
    ends: float
    status: str = ""
    """CANCELLED, FATAL or DONE once it has ended."""
    result: Stored | None = None


@dataclass(slots=True)
class Feeds:
    state: State
    listings: Listings
    on_end: list[Callable[[Document], None]] = field(default_factory=list)
    stuck: bool = False
    """Feeds stay IN_PROGRESS, as they do for days at Amazon now and then."""
    _documents: dict[str, Stored] = field(default_factory=dict)
    _feeds: dict[str, Feed] = field(default_factory=dict)

    def create_document(self, body: Any, base: str) -> Document:
        if not isinstance(body, dict) or not isinstance(body.get("contentType"), str):
            raise Refused(400, "InvalidInput", "contentType is required")
        stored = self._store(None)
        return {"feedDocumentId": stored.document_id, "url": self._url(stored, base)}

    def put(self, document_id: str, signature: str, content: bytes) -> bool:
        """Whether the signature is that of the document, and still good."""
        stored = self._signed(document_id, signature)
        if stored is None:
            return False
        stored.content = content
        return True

    def get(self, document_id: str, signature: str) -> bytes | None:
        stored = self._signed(document_id, signature)
        return stored.content if stored else None

    def create_feed(self, body: Any) -> Document:
        wanted = body if isinstance(body, dict) else {}
        document = self._documents.get(str(wanted.get("inputFeedDocumentId")))
        if wanted.get("feedType") != FEED_TYPE or wanted.get("marketplaceIds") != [MARKETPLACE] or document is None:
            raise Refused(400, "InvalidInput", "Invalid input")
        if document.content is None:
            raise Refused(400, "InvalidInput", "The document has not been uploaded")
        now, number = self.state.shop.monotonic(), self.state.shop.take_number()
        delay = self.state.habits.feed_delay_s
        feed = Feed(str(50_000_000 + number), document, self.state.shop.now(), now + delay / 2, now + delay)
        self._feeds[feed.feed_id] = feed
        return {"feedId": feed.feed_id}

    def feed(self, feed_id: str) -> Document:
        feed = self._feeds.get(feed_id)
        if feed is None:
            raise Refused(404, "NotFound", "No such feed")
        now = self.state.shop.monotonic()
        document: Document = {
            "feedId": feed.feed_id,
            "feedType": FEED_TYPE,
            "marketplaceIds": [MARKETPLACE],
            "createdTime": stamp(feed.created_at),
            "processingStatus": feed.status or ("IN_QUEUE" if now < feed.starts else "IN_PROGRESS"),
        }
        if feed.status:
            document["processingStartTime"] = stamp(feed.created_at)
            took = timedelta(seconds=feed.ends - feed.starts)
            document["processingEndTime"] = stamp(feed.created_at + 2 * took)
        if feed.result:
            document["resultFeedDocumentId"] = feed.result.document_id
        return document

    def all(self, statuses: Collection[str]) -> Document:
        found = [self.feed(feed_id) for feed_id in self._feeds]
        return {"feeds": [feed for feed in found if feed["processingStatus"] in statuses]}

    def document(self, document_id: str, base: str) -> Document:
        stored = self._documents.get(document_id)
        if stored is None or stored.content is None:
            raise Refused(404, "NotFound", "No such document")
        stored.until = self.state.shop.monotonic() + SIGNED_FOR_S
        document: Document = {"feedDocumentId": document_id, "url": self._url(stored, base)}
        return {**document, "compressionAlgorithm": "GZIP"} if stored.packed else document

    def settle(self) -> None:
        """Process what is due. The caller holds the shop's lock."""
        now = self.state.shop.monotonic()
        for feed in self._feeds.values():
            if not feed.status and not self.stuck and feed.ends <= now:
                self._process(feed)

    def end(self, feed_id: str, status: str) -> None:
        """By hand: CANCELLED or FATAL."""
        self._feeds[feed_id].status = status

    def _process(self, feed: Feed) -> None:
        issues, processed, invalid = self._carry_out(feed.document.content or b"")
        report = {
            "header": {"sellerId": SELLER, "version": "2.0", "feedId": feed.feed_id},
            "issues": issues,
            "summary": {
                "errors": len(issues),
                "warnings": 0,
                "messagesProcessed": processed,
                "messagesAccepted": processed - invalid,
                "messagesInvalid": invalid,
            },
        }
        content = json.dumps(report).encode()
        packed = self.state.habits.packs_reports
        feed.result = self._store(gzip.compress(content) if packed else content)
        feed.result.packed = packed
        feed.status = "DONE"
        for listener in self.on_end:
            listener(
                {
                    "sellerId": SELLER,
                    "feedId": feed.feed_id,
                    "feedType": FEED_TYPE,
                    "processingStatus": feed.status,
                    "resultFeedDocumentId": feed.result.document_id,
                }
            )

    def _carry_out(self, content: bytes) -> tuple[list[Document], int, int]:
        """(issues, messages processed, of them invalid)"""
        try:
            body = json.loads(content)
            messages = body["messages"]
            right = body["header"]["sellerId"] == SELLER and 0 < len(messages) <= MOST_MESSAGES
        except (ValueError, TypeError, KeyError):
            right, messages = False, []
        if not right:
            whole = {"code": "4002005", "severity": "ERROR", "message": "The header or the messages are not valid."}
            return [whole], 0, 0
        issues: list[Document] = []
        invalid = 0
        for message in messages:
            problems = self.listings.apply(message["sku"], message)
            invalid += bool(problems)
            issues += [
                {
                    "messageId": message["messageId"],
                    "sku": message["sku"],
                    "code": problem["code"],
                    "severity": problem["severity"],
                    "message": problem["message"],
                    "attributeName": "fulfillment_availability",
                }
                for problem in problems
            ]
        return issues, len(messages), invalid

    def _store(self, content: bytes | None) -> Stored:
        name = f"amzn1.tortuga.4.{secrets.token_hex(8)}"
        made = Stored(name, secrets.token_urlsafe(16), self.state.shop.monotonic() + SIGNED_FOR_S, content)
        self._documents[name] = made
        return made

    def _signed(self, document_id: str, signature: str) -> Stored | None:
        stored = self._documents.get(document_id)
        if stored is None or not hmac.compare_digest(stored.signature, signature):
            return None
        return stored if self.state.shop.monotonic() < stored.until else None

    def _url(self, stored: Stored, base: str) -> str:
        return f"{base}/presigned/{stored.document_id}?X-Amz-Expires=300&X-Amz-Signature={stored.signature}"
