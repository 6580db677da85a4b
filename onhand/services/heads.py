"""The head of a request within limits: uvicorn's fast parser takes one of any length, as slowly as it comes."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 * 1024
"""Request line and headers. What comes in one piece is looked at when it is there."""
MOST_HEADERS = 100
HEAD_S = 15.0
"""From the connection, or the first byte of a further request, to the end of its headers."""

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
)  # fmt: skip


class TooManyHeaders(Exception):
    """Ends in the parser, which makes a 400 of it."""


class LimitedHead(HttpToolsProtocol):
    """One connection. A client that sends no head, too long a one, or one that drips, is let go."""

    _held = 0
    """Bytes of a head that is not complete."""
    _reading = True
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._reading:
            return
        self._held += len(data)
        if self._held > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._held, self._reading = 0, True
        self._wait()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= MOST_HEADERS:
            raise TooManyHeaders
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._reading = False
        self._stop()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._stop()
        self._timer = self.loop.call_later(HEAD_S, self._give_up)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self._reading and not self.transport.is_closing():
            self.transport.close()
