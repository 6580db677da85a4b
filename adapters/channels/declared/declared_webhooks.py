"""Webhooks of a declared channel: is it theirs, and what is it about? By the description alone.

`adapters.channels.webhooks.ReceivesWebhooks` is the protocol. A signed time that is too old or too far
ahead makes a message false here, by the clock that was handed in.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from adapters.channels.declared.declared_models import Webhook
from adapters.channels.declared.declared_values import Path, UntranslatableError, parse_moment
from adapters.channels.notices import Notice

MOST_IDS = 1000
LONGEST_ID = 200
MOST_SIGNATURES = 10


class DeclaredWebhooks:
    """Stateless and thread safe."""

    def __init__(
        self,
        description: Webhook,
        secrets: Sequence[SecretStr],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Raises ValueError when a secret is empty: everybody could sign with it."""
        if not secrets or not all(secret.get_secret_value() for secret in secrets):
            raise ValueError("a secret of the webhooks is empty")
        self._described = description
        self._keys = [secret.get_secret_value().encode() for secret in secrets]
        self._now = now

    def verify(self, headers: Mapping[str, str], body: bytes) -> bool:
        given = self._signatures(headers)
        message = self._signed(headers, body)
        if not given or message is None or not self._in_time(headers):
            return False
        found = False
        for key in self._keys:
            expected = hmac.digest(key, message, self._described.algorithm)
            for signature in given:
                # No early end: the time taken must not say which key or which signature it was.
                found |= hmac.compare_digest(expected, signature)
        return found

    def signed_at(self, headers: Mapping[str, str], body: bytes) -> datetime | None:
        """When a verified message was signed; None where the channel signs no time."""
        name = self._described.timestamp_header
        return None if name is None else parse_moment(headers.get(name.lower()), self._described.timestamp_format)

    def read(self, headers: Mapping[str, str], body: bytes) -> list[Notice]:
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            raise ValueError("the body is no JSON") from None
        described = self._described
        try:
            order_ids, listing_refs = _ids(described.order_ids, content), _ids(described.listing_refs, content)
            event_id = _text(described.event_id, content)
            topic = _text(described.topic, content)
        except UntranslatableError as error:
            raise ValueError(str(error)) from None
        if described.event_id_header is not None:
            event_id = headers.get(described.event_id_header.lower(), "")
        if described.topic_header is not None:
            topic = headers.get(described.topic_header.lower(), "")
        if not order_ids and not listing_refs:
            return []
        event_id = event_id[:LONGEST_ID] or hashlib.sha256(body).hexdigest()
        return [Notice(event_id, topic[:LONGEST_ID], order_ids, listing_refs)]

    def _signatures(self, headers: Mapping[str, str]) -> list[bytes]:
        """Those in the header that have the form of one."""
        size = hashlib.new(self._described.algorithm, usedforsecurity=False).digest_size
        found = []
        # Some write `v1,…`: then only a space separates.
        between = r"\s+" if "," in self._described.prefix else r"[,\s]+"
        for part in re.split(between, headers.get(self._described.signature_header.lower(), ""))[:MOST_SIGNATURES]:
            if not part.startswith(self._described.prefix):
                continue
            text = part[len(self._described.prefix) :]
            try:
                decoded = bytes.fromhex(text) if self._described.encoding == "hex" else _base64(text)
            except ValueError:
                continue
            if len(decoded) == size:
                found.append(decoded)
        return found

    def _signed(self, headers: Mapping[str, str], body: bytes) -> bytes | None:
        described = self._described
        before, _, after = described.signed.partition("{body}")
        names = {"timestamp": described.timestamp_header, "event_id": described.event_id_header}
        values = {name: "" if header is None else headers.get(header.lower(), "") for name, header in names.items()}
        if any(f"{{{name}}}" in described.signed and not value for name, value in values.items()):
            return None
        filled = [re.sub(r"\{(\w+)\}", lambda match: values[match[1]], part) for part in (before, after)]
        try:
            return filled[0].encode("latin-1") + body + filled[1].encode("latin-1")
        except UnicodeEncodeError:
            return None

    def _in_time(self, headers: Mapping[str, str]) -> bool:
        if self._described.timestamp_header is None:
            return True
        signed_at = self.signed_at(headers, b"")
        if signed_at is None:
            return False
        return abs((self._now() - signed_at).total_seconds()) <= self._described.replay_window_s


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error


def _text(path: Path | None, content: Any) -> str:
    found = None if path is None else path.of(content)
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def _ids(path: Path | None, content: Any) -> tuple[str, ...]:
    found = None if path is None else path.of(content)
    listed = found if isinstance(found, list) else [found]
    texts = [str(one) for one in listed if isinstance(one, str | int) and not isinstance(one, bool)]
    if len(listed) > MOST_IDS or any(len(text) > LONGEST_ID for text in texts):
        raise UntranslatableError("names more, or longer, ids than a message holds")
    return tuple(dict.fromkeys(text for text in texts if text))
