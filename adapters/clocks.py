"""How far a server's clock is ahead of ours, by the Date header of any answer (RFC 9110, 6.6.1)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from adapters.http import make_client


def seconds_ahead(
    base_url: str, *, timeout_s: float = 10.0, transport: httpx.BaseTransport | None = None
) -> float | None:
    """Without credentials, and whatever the status: also a refusal has a date. None: no answer, or none in it.

    The header has whole seconds, so within one second the clocks agree.
    """
    with make_client(base_url=base_url, timeout_s=timeout_s, transport=transport) as client:
        asked = datetime.now(UTC)
        try:
            with client.stream("GET", "/") as response:
                date = response.headers.get("date")
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
        answered = datetime.now(UTC)
    try:
        told = parsedate_to_datetime(date) if date else None
    except ValueError:
        return None
    if told is None:
        return None
    told = told if told.tzinfo else told.replace(tzinfo=UTC)
    # It was written at some time between the two, and cut to the second.
    early, late = (told - answered).total_seconds(), (told - asked).total_seconds() + 1.0
    return early if early > 0 else late if late < 0 else 0.0
