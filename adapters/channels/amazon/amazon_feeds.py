"""Many quantities in one feed: document, upload, submission, the wait for its end, its report.

Source: Feeds API 2021-06-30 and the schemas of the JSON_LISTINGS_FEED (version 2.0).
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from adapters.channels.amazon import amazon_budget as budget
from adapters.channels.amazon.amazon_client import AmazonClient
from adapters.channels.amazon.amazon_listings import (
    FEED_CONTENT,
    FEED_TYPE,
    FeedReport,
    UnreadableError,
    feed_document,
    read_report,
)
from adapters.channels.protocol import Change, ChangeResult, ChangeStatus
from adapters.http import MAX_BYTES, ChannelFault, Resolution

PATH = "/feeds/2021-06-30"
MOST_MESSAGES = 25_000
FIRST_LOOK_S = 0.25
LONGEST_LOOK_S = 30.0
ENDED = frozenset({"DONE", "CANCELLED", "FATAL"})


class Feeds:
    def __init__(self, client: AmazonClient, *, seller_id: str, marketplace_id: str, wait_s: float) -> None:
        """`wait_s`: how long a feed may take before its rows are given up as unknown."""
        self._client = client
        self._seller_id = seller_id
        self._marketplace_id = marketplace_id
        self._wait_s = wait_s

    def send(self, changes: Sequence[Change]) -> tuple[list[ChangeResult], set[str]]:
        """Rows that are decided, and the refs of those that Amazon says it accepted: only a read says more.

        Raises ChannelFault when it is certain that nothing was applied.
        """
        document_id = self._upload(feed_document(self._seller_id, changes))
        refs = [change.listing_ref for change in changes]
        body = {"feedType": FEED_TYPE, "marketplaceIds": [self._marketplace_id], "inputFeedDocumentId": document_id}
        client, shared = self._client, self._client.shared
        try:
            answer = client.write(budget.CREATE_FEED, "POST", f"{PATH}/feeds", body)
        except ChannelFault as fault:
            if fault.resolution is not Resolution.UNKNOWN:
                raise
            shared.note_fed(refs, "", client.clock())
            return _all(refs, ChangeStatus.UNKNOWN, str(fault)), set()
        feed_id = _text(answer, "feedId")
        shared.note_fed(refs, feed_id or "", client.clock())
        if feed_id is None:
            return _all(refs, ChangeStatus.UNKNOWN, "the answer does not name the feed"), set()
        ended = self._await(feed_id)
        if ended is None:
            return _all(refs, ChangeStatus.UNKNOWN, f"feed {feed_id} has not come to its end yet"), set()
        shared.feed_ended(feed_id)
        return self._judge(feed_id, ended, changes)

    def still_running(self, feed_id: str) -> bool:
        """One look at a feed of before; without an id, whether any feed is running. Raises ChannelFault."""
        if feed_id:
            running = _text(self._client.read(budget.GET_FEED, _feed_path(feed_id)), "processingStatus") not in ENDED
        else:
            wanted = {"feedTypes": FEED_TYPE, "processingStatuses": "IN_QUEUE,IN_PROGRESS"}
            found = self._client.read(budget.GET_FEEDS, f"{PATH}/feeds", wanted)
            running = not isinstance(found, Mapping) or found.get("feeds") != []
        if not running:
            self._client.shared.feed_ended(feed_id)
        return running

    def _upload(self, content: bytes) -> str:
        """The id of the document. Whatever goes wrong here, nothing was applied."""
        try:
            wanted = {"contentType": FEED_CONTENT}
            made = self._client.write(budget.CREATE_DOCUMENT, "POST", f"{PATH}/documents", wanted)
            document_id, url = _text(made, "feedDocumentId"), _text(made, "url")
            if document_id is None or url is None:
                raise ChannelFault(self._client.code, Resolution.MALFORMED, "a feed document without an address")
            self._client.upload(url, content, FEED_CONTENT)
        except ChannelFault as fault:
            if fault.resolution is not Resolution.UNKNOWN:
                raise
            what = "the feed's document could not be put down"
            lost = ChannelFault(self._client.code, Resolution.RETRY, what, status=fault.status)
        else:
            return document_id
        raise lost

    def _await(self, feed_id: str) -> Mapping[str, Any] | None:
        """The feed when it has ended; None when that takes too long or cannot be read."""
        until, pause = self._client.clock() + self._wait_s, FIRST_LOOK_S
        while self._client.clock() + pause <= until:
            self._client.sleep(pause)
            left = max(0.0, until - self._client.clock())
            try:
                feed = self._client.read(budget.GET_FEED, _feed_path(feed_id), most_wait_s=left)
            except ChannelFault as fault:
                if not fault.retriable:
                    return None
                feed = None
            if isinstance(feed, Mapping) and feed.get("processingStatus") in ENDED:
                return feed
            pause = min(pause * 2, LONGEST_LOOK_S)
        return None

    def _judge(
        self, feed_id: str, feed: Mapping[str, Any], changes: Sequence[Change]
    ) -> tuple[list[ChangeResult], set[str]]:
        refs = [change.listing_ref for change in changes]
        status = feed["processingStatus"]
        if status == "CANCELLED":
            return _all(refs, ChangeStatus.REJECTED, f"feed {feed_id} was cancelled before it was begun"), set()
        if status == "FATAL":
            # Some, none or all of its messages may have been applied, says the vendor.
            return _all(refs, ChangeStatus.UNKNOWN, f"feed {feed_id} was broken off"), set()
        try:
            report = self._report(_text(feed, "resultFeedDocumentId"))
        except (ChannelFault, UnreadableError):
            # Nothing is known to be refused; the read that follows shows what was applied.
            return [], set(refs)
        if report.whole:
            if report.accepted == 0:
                return _all(refs, ChangeStatus.REJECTED, report.whole), set()
            return _all(refs, ChangeStatus.UNKNOWN, report.whole), set()
        refused = {refs[number - 1]: why for number, why in report.refused.items() if 0 < number <= len(refs)}
        rejected = [ChangeResult(ref, ChangeStatus.REJECTED, why) for ref, why in refused.items()]
        return rejected, set(refs) - set(refused)

    def _report(self, document_id: str | None) -> FeedReport:
        if document_id is None:
            raise UnreadableError("the feed has no report")
        found = self._client.read(budget.GET_DOCUMENT, f"{PATH}/documents/{quote(document_id, safe='')}")
        url = _text(found, "url")
        if url is None:
            raise UnreadableError("a feed document without an address")
        content = self._client.download(url)
        return read_report(_unpacked(content) if _text(found, "compressionAlgorithm") == "GZIP" else content)


def _feed_path(feed_id: str) -> str:
    return f"{PATH}/feeds/{quote(feed_id, safe='')}"


def _unpacked(content: bytes) -> bytes:
    unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        plain = unpack.decompress(content, MAX_BYTES)
    except zlib.error:
        raise UnreadableError("the report is not packed as it says") from None
    if unpack.unconsumed_tail or not unpack.eof:
        raise UnreadableError("the report is too large, or ends too early")
    return plain


def _text(body: Any, name: str) -> str | None:
    value = body.get(name) if isinstance(body, Mapping) else None
    return value if isinstance(value, str) and value else None


def _all(refs: Sequence[str], status: ChangeStatus, reason: str) -> list[ChangeResult]:
    return [ChangeResult(ref, status, reason) for ref in refs]
