"""Fetching a supplier's feed, from a file or over HTTP, and reading it by its shape."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
from pydantic import SecretStr

from adapters.channels.declared.declared_auth import Credentials, TokenPlace, credentials_for
from adapters.channels.declared.declared_models import Auth
from adapters.http import make_client, transfer
from adapters.suppliers.feed_content import FeedContent, FeedError
from adapters.suppliers.feed_csv import read_csv_feed
from adapters.suppliers.feed_json import read_json_feed
from adapters.suppliers.feed_xml import read_xml_feed
from adapters.suppliers.supplier_config import CsvShape, JsonShape, Shape, Supplier, XmlShape

Secret = Callable[[str], SecretStr]


@dataclass(frozen=True, slots=True)
class Fetched:
    content: bytes
    written_at: datetime | None
    """When the file was written, where that is known."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def fetch(supplier: Supplier, *, folder: Path, secret: Secret, transport: httpx.BaseTransport | None = None) -> Fetched:
    """The bytes of the feed. Raises FeedError, and ChannelFault for what HTTP has to say."""
    return _download(supplier, secret, transport) if supplier.remote else _open(supplier, folder)


def _open(supplier: Supplier, folder: Path) -> Fetched:
    path = Path(supplier.source).expanduser()
    path = path if path.is_absolute() else folder / path
    try:
        with path.open("rb") as file:
            content = file.read(supplier.max_bytes + 1)
            written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no such path"
        raise FeedError(f"{path.name} cannot be read by the process that runs this: {why}") from None
    if len(content) > supplier.max_bytes:
        raise FeedError(f"{path.name} is larger than max_bytes allows ({supplier.max_bytes:,})")
    return Fetched(content, written_at)


def _download(supplier: Supplier, secret: Secret, transport: httpx.BaseTransport | None) -> Fetched:
    parts = urlsplit(supplier.source)
    client = make_client(
        base_url=f"{parts.scheme}://{parts.netloc}",
        headers={"accept": "*/*"},
        timeout_s=supplier.timeout_s,
        transport=transport,
    )
    with client:
        name = f"supplier {supplier.code}"
        headers = {}
        if supplier.auth is not None:
            headers = _credentials(supplier.auth, secret).headers(client, name)
        path = parts.path or "/"
        address = f"{path}?{parts.query}" if parts.query else path
        content = transfer(client, name, "GET", address, writes=False, headers=headers, max_bytes=supplier.max_bytes)
    return Fetched(content, None)


def _credentials(auth: Auth, secret: Secret) -> Credentials:
    try:
        return credentials_for(auth, secret, TokenPlace())
    except ValueError as error:
        # A secret that is not set, or that no header can hold: the message names it and holds none of it.
        reason = str(error)
    raise FeedError(reason)


def read_feed(content: bytes, shape: Shape) -> FeedContent:
    """Raises FeedError."""
    match shape:
        case CsvShape():
            return read_csv_feed(content, shape)
        case JsonShape():
            return read_json_feed(content, shape)
        case XmlShape():
            return read_xml_feed(content, shape)
        case _:
            assert_never(shape)


def instant_of(written: str, supplier: Supplier, *, end_of_day: bool = True) -> datetime | None:
    """A date as the supplier writes it, in UTC; None where it is none. A day without a time means its end, until when
    nobody can say that it is late; without `end_of_day` its beginning."""
    try:
        if supplier.date_format:
            moment = datetime.strptime(written, supplier.date_format)  # noqa: DTZ007 - the zone follows
            day = not any(part in supplier.date_format for part in ("%H", "%I", "%X", "%c", "%s"))
        else:
            moment = datetime.fromisoformat(written)
            day = len(written) <= len("2026-11-21")
        if day and end_of_day:
            moment = moment.replace(hour=23, minute=59, second=59)
        if moment.utcoffset() is None:
            moment = moment.replace(tzinfo=ZoneInfo(supplier.time_zone))
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def quantity_text(written: str, supplier: Supplier) -> str:
    """A quantity in digits, where the supplier's own way to write it is known; else as it is written."""
    if written.casefold() in supplier.words:
        return str(supplier.words[written.casefold()])
    mark = {"none": "", "point": ".", "comma": ","}[supplier.decimals]
    if mark and written.count(mark) == 1:
        whole, _, fraction = written.partition(mark)
        if fraction and not fraction.strip("0"):
            return whole
    return written
