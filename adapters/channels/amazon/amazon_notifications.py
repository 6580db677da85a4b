"""Amazon's notifications, from the SQS queue they are delivered to. Amazon signs none: the queue's policy is
what vouches for them.

They come twice, late and out of order, so only ids are taken from them, and Amazon wants polling kept beside.
Source: the JSON schemas of the notifications (selling-partner-api-models, `schemas/notifications`), whose
names begin with a capital letter for some types and not for others.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import botocore.config  # type: ignore[import-untyped]
import botocore.exceptions  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
from pydantic import SecretStr

from adapters.channels.notices import UNREADABLE, Notice
from adapters.channels.protocol import Defect
from adapters.http import ChannelFault, Resolution

ORDER_CHANGE = "ORDER_CHANGE"
QUANTITY_CHANGE = "LISTINGS_ITEM_MFN_QUANTITY_CHANGE"
FEED_FINISHED = "FEED_PROCESSING_FINISHED"
MOST_MESSAGES = 10
LONGEST_POLL_S = 20
OF_CREDENTIALS = frozenset({"AccessDenied", "AccessDeniedException", "InvalidClientTokenId", "SignatureDoesNotMatch"})


class NotReadableError(Exception):
    """A message that is no notification. Names no value of it."""


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """One delivery. The same notification may come in several."""

    notices: tuple[Notice, ...]
    defect: Defect | None
    """Why it could not be read; its notice then only says that something changed."""
    receipt: str = field(repr=False)


def read_notification(body: Any) -> Notice:
    """Raises NotReadableError. A type that is not used here gives a notice that names nothing."""
    event = _lowered(_mapping(body, "the message"))
    metadata = _lowered(_mapping(event.get("notificationmetadata"), "the metadata"))
    topic, event_id = _name(event, "notificationtype"), _name(metadata, "notificationid")
    payload = _lowered(_mapping(event.get("payload"), "the payload"))
    if topic == ORDER_CHANGE:
        change = _lowered(_mapping(payload.get("orderchangenotification"), "the order change"))
        order_id = _name(change, "amazonorderid")
        summary = _lowered(_mapping(change.get("summary", {}), "the summary"))
        # What Amazon's own warehouse sends is not ours.
        return Notice(event_id, topic, () if summary.get("fulfillmenttype") == "AFN" else (order_id,))
    if topic == QUANTITY_CHANGE:
        return Notice(event_id, topic, (), (_name(payload, "sku"),))
    return Notice(event_id, topic, ())


class AmazonQueue:
    """Implements `adapters.channels.notices.NoticeQueue`; for one thread."""

    def __init__(
        self, channel: str, *, queue_url: str, key_id: str, secret_key: SecretStr, timeout_s: float = 10.0
    ) -> None:
        """`queue_url` as AWS gives it; the region is read from it."""
        self._channel = channel
        self._url = queue_url
        self._key_id = key_id
        self._secret_key = secret_key
        self._timeout_s = timeout_s
        self._made: Any = None

    def receive(self, wait_s: float) -> list[QueueMessage]:
        """At most ten messages. Waits up to `wait_s` (twenty seconds at most) for the first one.

        What is not acknowledged comes again when the queue's visibility time is over. Raises ChannelFault.
        """
        answer = self._call(
            "receive_message", MaxNumberOfMessages=MOST_MESSAGES, WaitTimeSeconds=min(LONGEST_POLL_S, int(wait_s))
        )
        return [_message(one) for one in answer.get("Messages") or []]

    def acknowledge(self, messages: Sequence[QueueMessage]) -> None:
        """Take them out of the queue, once what they say is stored. Raises ChannelFault; some may be out then."""
        receipts = list(dict.fromkeys(message.receipt for message in messages))
        for start in range(0, len(receipts), MOST_MESSAGES):
            part = receipts[start : start + MOST_MESSAGES]
            entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(part)]
            answer = self._call("delete_message_batch", Entries=entries)
            failed = answer.get("Failed") or []
            if failed:
                raise ChannelFault(self._channel, Resolution.RETRY, f"{len(failed)} messages stay in the queue")

    def close(self) -> None:
        if self._made is not None:
            self._made.close()
            self._made = None

    def _call(self, operation: str, **arguments: Any) -> Mapping[str, Any]:
        fault: ChannelFault
        try:
            answer: Mapping[str, Any] = getattr(self._client(), operation)(QueueUrl=self._url, **arguments)
            return answer
        except botocore.exceptions.ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "")).rpartition(".")[2].rpartition("#")[2]
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            refused = code in OF_CREDENTIALS or status in (401, 403)
            throttled = status == 429 or "Throttl" in code
            how = Resolution.REAUTHENTICATE if refused else Resolution.RATE_LIMITED if throttled else Resolution.RETRY
            fault = ChannelFault(self._channel, how, f"the queue answered {status} {code[:40]}", status=status)
        except botocore.exceptions.BotoCoreError as error:
            fault = ChannelFault(self._channel, Resolution.RETRY, f"the queue is away, {type(error).__name__}")
        # Raised here and not where it was caught: a chained error can quote a header.
        raise fault

    def _client(self) -> Any:
        """Made at the first call: reading AWS's model of the service takes a moment."""
        if self._made is None:
            address = urlsplit(self._url)
            parts = (address.hostname or "").split(".")
            region = parts[1] if parts[0] == "sqs" and len(parts) > 3 else "us-east-1"
            config = botocore.config.Config(
                connect_timeout=min(self._timeout_s, 5.0),
                read_timeout=self._timeout_s + LONGEST_POLL_S,
                retries={"total_max_attempts": 2, "mode": "standard"},
                proxies={},
            )
            self._made = botocore.session.Session().create_client(
                "sqs",
                region_name=region,
                endpoint_url=f"{address.scheme}://{address.netloc}",
                aws_access_key_id=self._key_id,
                aws_secret_access_key=self._secret_key.get_secret_value(),
                config=config,
            )
        return self._made


def _message(raw: Mapping[str, Any]) -> QueueMessage:
    receipt, message_id = str(raw.get("ReceiptHandle", "")), str(raw.get("MessageId", ""))
    try:
        return QueueMessage((read_notification(_json(raw.get("Body"))),), None, receipt)
    except NotReadableError as problem:
        key = f"message {message_id}"
        return QueueMessage((Notice(key, UNREADABLE, ()),), Defect(key, str(problem)), receipt)


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise NotReadableError("the message is no JSON") from None


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise NotReadableError(f"{name} is missing or no object")
    return value


def _lowered(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key.lower(): inner for key, inner in value.items()}


def _name(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    if not isinstance(found, str) or not 0 < len(found) <= 200:
        raise NotReadableError(f"{key} is missing or no name")
    return found
