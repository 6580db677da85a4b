"""A TCP proxy on loopback that can be broken in every way a network breaks."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

HOST = "127.0.0.1"
_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER for zero seconds: closing sends RST."""


class Mode(StrEnum):
    OPEN = "open"
    REFUSE = "refuse"
    """Nobody listens."""
    BLACK_HOLE = "black hole"
    """Connections are taken and nothing is ever answered, on those that are open already neither."""
    RESET = "reset"
    """Requests arrive; half of the first piece of each answer comes back, then a reset."""
    SLOW = "slow"
    """Each piece of an answer is `delay` seconds late."""


class Link:
    """`port` listens and leads to the port that `target` gives now. Change `mode` by `become`."""

    def __init__(self, target: Callable[[], int], port: int = 0, delay: float = 2.5) -> None:
        self.mode = Mode.OPEN
        self.port = port
        self._target, self._delay = target, delay
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def become(self, mode: Mode) -> None:
        self._do(self._become(mode))

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    async def _become(self, mode: Mode) -> None:
        before, self.mode = self.mode, mode
        if mode is Mode.REFUSE:
            await self._close()
        else:
            if before is Mode.BLACK_HOLE:
                # What it has swallowed never comes out again.
                self._cut()
            await self._listen()

    async def _listen(self) -> None:
        if self._server is None:
            # The loop turns Nagle's algorithm off only where the protocol is named.
            bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((HOST, self.port))
            self.port = int(bound.getsockname()[1])
            self._server = await asyncio.start_server(self._serve, sock=bound)

    async def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self._cut()

    def _cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        target: asyncio.StreamWriter | None = None
        try:
            if self.mode is Mode.BLACK_HOLE:
                while await reader.read(_CHUNK):
                    pass
                return
            answers, target = await asyncio.open_connection(HOST, self._target())
            self._writers.add(target)
            await asyncio.gather(self._forth(reader, target), self._back(answers, writer))
        except OSError:
            pass
        finally:
            for one in (writer, target):
                if one is not None:
                    self._writers.discard(one)
                    with suppress(OSError):
                        one.close()

    async def _forth(self, reader: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await reader.read(_CHUNK):
            if self.mode is not Mode.BLACK_HOLE:
                target.write(data)
                await target.drain()
        target.close()

    async def _back(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await answers.read(_CHUNK):
            if self.mode is Mode.SLOW:
                await asyncio.sleep(self._delay)
            if self.mode is Mode.BLACK_HOLE:
                continue
            if self.mode is Mode.RESET:
                writer.write(data[: max(1, len(data) // 2)])
                await writer.drain()
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()
                return
            writer.write(data)
            await writer.drain()
        writer.close()
