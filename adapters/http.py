"""The one HTTP client factory, and one table from what came back to what to do about it.

Nothing here ever puts a header, a query string or a body into a message: all of these can hold a
secret or a name. What a fault says is the channel, the method, the path and the status.
"""

import json as jsonlib
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from importlib import metadata
from ipaddress import ip_address
from typing import Any

import httpx

MAX_BYTES = 32 * 1024 * 1024
NO_CONTENT = frozenset({202, 204, 205})
"""These may be answered without a body (RFC 9110, 15.3); any other without one was cut short."""
KEPT_ALIVE_S = 2.5
"""An idle connection is used again within this time only. Many servers close theirs after five seconds, and a request
that meets the closing is lost: for a write that is a doubt, and a listing that waits until the doubt is over."""
DEADLINE_TIMEOUTS = 3
"""An answer that drips is given up after this many times the client's time-out."""

# httpx logs each request's whole URL at INFO, and a URL can carry a key.
logging.getLogger("httpx").setLevel(logging.WARNING)
# And what it stands on writes down the headers of answers.
logging.getLogger("httpcore").setLevel(logging.WARNING)


class Resolution(StrEnum):
    """What the caller should do about a fault."""

    RETRY = "retry"
    """Passing, and certainly not applied."""
    RATE_LIMITED = "rate_limited"
    """Too fast, and certainly not applied. `retry_after` may say how long to wait."""
    REAUTHENTICATE = "reauthenticate"
    """The credentials are wrong, expired, or lack a right. A person must act."""
    REJECT = "reject"
    """The vendor will not do this, however often it is asked."""
    MALFORMED = "malformed"
    """An answer that is not what the vendor's contract says."""
    UNKNOWN = "unknown"
    """The answer never came: it may have been applied."""


RETRIABLE = frozenset({Resolution.RETRY, Resolution.RATE_LIMITED, Resolution.UNKNOWN})


class ChannelFault(Exception):
    """A call that did not give a usable answer.

    `retry_after` is in seconds, where the vendor said it. `status` is the HTTP status, None when no
    answer came. `code` is the vendor's own error code where the answer held a plain one.
    """

    def __init__(
        self,
        channel: str,
        resolution: Resolution,
        what: str,
        *,
        retry_after: float | None = None,
        status: int | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(f"{channel}: {what} ({resolution})")
        self.channel = channel
        self.resolution = resolution
        self.retry_after = retry_after
        self.status = status
        self.code = code

    @property
    def retriable(self) -> bool:
        """Whether asking again can help. A write that is UNKNOWN must be recomputed, never resent."""
        return self.resolution in RETRIABLE


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx answer whose body is JSON. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class _Raw:
    """A 2xx answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def make_client(
    *,
    base_url: str,
    headers: Mapping[str, str] | None = None,
    auth: httpx.Auth | tuple[str, str] | None = None,
    timeout_s: float = 10.0,
    transport: httpx.BaseTransport | None = None,
) -> httpx.Client:
    """A client that follows no redirect (it would carry the token away) and reads no environment."""
    return httpx.Client(
        base_url=base_url,
        headers={"user-agent": f"onhand/{_version()}", "accept": "application/json", **(headers or {})},
        auth=auth,
        timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, 5.0), pool=timeout_s),
        limits=httpx.Limits(max_connections=20, max_keepalive_connections=10, keepalive_expiry=KEPT_ALIVE_S),
        follow_redirects=False,
        trust_env=False,
        transport=transport,
    )


def call(
    client: httpx.Client,
    channel: str,
    method: str,
    path: str,
    *,
    writes: bool,
    json: Any = None,
    form: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    max_bytes: int = MAX_BYTES,
) -> Answer:
    """One request, one answer, no retry. Raises `ChannelFault` for everything else.

    `writes` says that the request can change something at the vendor: then a fault after the request
    may have left is UNKNOWN, where a read would simply be RETRY or MALFORMED. `form` is sent as an HTML form is.
    """
    sent = {"json": json, "data": form, "params": params, "headers": headers}
    raw = _exchange(client, channel, method, path, writes=writes, sent=sent, max_bytes=max_bytes)
    label = f"{method} {path.partition('?')[0]}"
    outcome = raw if isinstance(raw, ChannelFault) else _read(raw, channel, label, writes=writes)
    # Raised here and not where it was caught: a chained httpx error can quote a header or a URL.
    if isinstance(outcome, ChannelFault):
        raise outcome
    return outcome


def transfer(
    client: httpx.Client,
    channel: str,
    method: str,
    url: str,
    *,
    writes: bool,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    max_bytes: int = MAX_BYTES,
) -> bytes:
    """As `call`, for a document that is bytes, sent or fetched; `url` may be signed for this one time."""
    sent = {"content": content, "headers": headers}
    outcome = _exchange(client, channel, method, url, writes=writes, sent=sent, max_bytes=max_bytes)
    if isinstance(outcome, ChannelFault):
        raise outcome
    return outcome.content


def resolve(status: int, *, writes: bool, has_retry_after: bool) -> Resolution:
    """The table. Only for statuses that are not 2xx."""
    if status == 429 or (status == 503 and has_retry_after):
        return Resolution.RATE_LIMITED
    if status in (401, 403):
        return Resolution.REAUTHENTICATE
    if status >= 500 or status == 408:
        return Resolution.UNKNOWN if writes else Resolution.RETRY
    return Resolution.REJECT


def public(host: str) -> bool:
    """Whether a host that somebody else has named may be asked: no number of this machine or of a network within. A
    name is not looked up: what it leads to may be another thing a moment later."""
    try:
        return ip_address(host.partition("%")[0]).is_global
    except ValueError:
        return "." in host and not host.lower().rstrip(".").endswith((".localhost", ".local", ".internal"))


def _exchange(
    client: httpx.Client,
    channel: str,
    method: str,
    path: str,
    *,
    writes: bool,
    sent: Mapping[str, Any],
    max_bytes: int,
) -> _Raw | ChannelFault:
    label = f"{method} {path.partition('?')[0]}"
    unreadable = Resolution.UNKNOWN if writes else Resolution.MALFORMED
    try:
        with client.stream(method, path, **sent) as response:
            content = _body(response, max_bytes, DEADLINE_TIMEOUTS * (client.timeout.read or 60.0))
            status, headers = response.status_code, dict(response.headers)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        return ChannelFault(channel, Resolution.RETRY, f"{label} did not connect, {type(error).__name__}")
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        return ChannelFault(channel, Resolution.REJECT, f"{label} was not sent, {type(error).__name__}")
    except httpx.DecodingError:
        return ChannelFault(channel, unreadable, f"{label} answered with a broken encoding")
    except httpx.TransportError as error:
        lost = Resolution.UNKNOWN if writes else Resolution.RETRY
        return ChannelFault(channel, lost, f"{label} lost its answer, {type(error).__name__}")
    if not 200 <= status < 300:
        after = parse_retry_after(headers.get("retry-after"), headers.get("date"))
        resolution = resolve(status, writes=writes, has_retry_after=after is not None)
        code = _vendor_code(content)
        what = f"{label} answered {status}" + (f" {code}" if code else "")
        return ChannelFault(channel, resolution, what, retry_after=after, status=status, code=code)
    if content is None:
        return ChannelFault(channel, unreadable, f"{label} answered too much or too slowly", status=status)
    return _Raw(status, headers, content)


def _read(raw: _Raw, channel: str, label: str, *, writes: bool) -> Answer | ChannelFault:
    if raw.status in NO_CONTENT and not raw.content:
        return Answer(raw.status, raw.headers, None)
    try:
        return Answer(raw.status, raw.headers, _parse(raw.content))
    except (ValueError, RecursionError):
        unreadable = Resolution.UNKNOWN if writes else Resolution.MALFORMED
        kind = "HTML" if raw.content.lstrip()[:1] == b"<" else "no valid JSON"
        return ChannelFault(channel, unreadable, f"{label} answered {kind}", status=raw.status)


def _body(response: httpx.Response, max_bytes: int, deadline_s: float) -> bytes | None:
    """The decoded content, or None when it is larger or slower than allowed."""
    give_up = time.monotonic() + deadline_s
    parts: list[bytes] = []
    size = 0
    for part in response.iter_bytes():
        size += len(part)
        if size > max_bytes or time.monotonic() > give_up:
            return None
        parts.append(part)
    return b"".join(parts)


def _parse(content: bytes) -> Any:
    return jsonlib.loads(content, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _vendor_code(content: bytes | None) -> str | None:
    """The value of `code` in an error body, or of the first of its `errors` or `error`, when it is a plain word:
    it can hold no personal data."""
    try:
        body = _parse(content or b"")
    except (ValueError, RecursionError):
        return None
    code = body.get("code", body.get("error")) if isinstance(body, dict) else None
    errors = body.get("errors") if isinstance(body, dict) else None
    if code is None and isinstance(errors, list) and errors and isinstance(errors[0], dict):
        code = errors[0].get("code", errors[0].get("errorId"))
    if isinstance(code, int) and not isinstance(code, bool) and 0 < code < 10**12:
        return str(code)
    return code if isinstance(code, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", code) else None


def parse_retry_after(value: str | None, date: str | None = None) -> float | None:
    """Seconds to wait, from either form of the header (RFC 9110, 10.2.3); None when absent or nonsense.

    `date` is the answer's own Date header: with it a wrong clock on our side does no harm.
    """
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", value.strip(" \t")):
        return float(value)
    until = _http_date(value)
    if until is None:
        return None
    now = (_http_date(date) if date else None) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _version() -> str:
    try:
        return metadata.version("onhand")
    except metadata.PackageNotFoundError:
        return "0"
