"""Reading a request's raw body within limits, whatever the client says about its length and however slowly it sends."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.requests import ClientDisconnect

from onhand.services.problems import Problem

# What is left of the body is not worth reading.
_CLOSE = {"connection": "close"}


class TooLarge(Problem):
    def __init__(self, limit: int) -> None:
        super().__init__(413, "too-large", f"The body is longer than {limit} bytes", headers=_CLOSE)


class TooSlow(Problem):
    def __init__(self) -> None:
        super().__init__(408, "too-slow", "The body did not come in time", headers=_CLOSE)


class Gone(Problem):
    """The client went away before its body was complete; nobody hears the answer."""

    def __init__(self) -> None:
        super().__init__(400, "incomplete", "The body is not complete", headers=_CLOSE)


class Full(Problem):
    def __init__(self) -> None:
        headers = {"retry-after": "5", **_CLOSE}
        super().__init__(503, "full", "Too much is being received at once; come again", headers=headers)


@dataclass(slots=True)
class BodyReader:
    """One for all requests of an app. `held` bytes at once are kept at most, over all of them."""

    largest: int
    seconds: float
    most_held: int
    held: int = 0

    @contextmanager
    def reading(self, request: Request) -> Iterator[None]:
        """Around everything that is done while the body is kept. Raises TooLarge, Full."""
        declared = request.headers.get("content-length", "")
        # How long a chunked body will be, nobody knows.
        size = int(declared) if declared.isdigit() else self.largest
        if size > self.largest:
            raise TooLarge(self.largest)
        if self.held + size > self.most_held:
            raise Full
        self.held += size
        try:
            yield
        finally:
            self.held -= size

    async def read(self, request: Request) -> bytes:
        """Raises TooLarge, TooSlow, Gone."""
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.seconds):
                async for part in request.stream():
                    size += len(part)
                    if size > self.largest:
                        raise TooLarge(self.largest)
                    parts.append(part)
        except TimeoutError:
            raise TooSlow from None
        except ClientDisconnect:
            raise Gone from None
        return b"".join(parts)
