"""The books of an imitated shop on disk: what was sold stays sold when its process is killed.

A real vendor that goes down comes back with its orders. Whatever an answer of the shop tells is on disk before the
answer leaves; what it had not told yet may be lost.
"""

import pickle
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.sandbox.shop import Shop

_KEPT = ("products", "orders", "written", "_by_sku", "_next", "_changes")


class Books:
    """The file of one shop. It is this program's own: never open one that somebody else could write."""

    def __init__(self, shop: Shop, file: Path) -> None:
        self._shop, self._file = shop, file
        self._saved = b""
        if file.exists():
            self._saved = file.read_bytes()
            for name, value in pickle.loads(self._saved).items():  # noqa: S301 - written below
                setattr(shop, name, value)

    def save(self) -> None:
        """Write what has changed since the last time; a kill in the middle leaves the file as it was."""
        with self._shop.lock:
            content = pickle.dumps({name: getattr(self._shop, name) for name in _KEPT})
            if content == self._saved:
                return
            draft = self._file.with_suffix(".new")
            draft.write_bytes(content)
            draft.replace(self._file)
            self._saved = content


class Kept:
    """An app whose books are saved before each answer."""

    def __init__(self, app: ASGIApp, books: Books) -> None:
        self._app, self._books = app, books

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def save_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._books.save()
            await send(message)

        await self._app(scope, receive, save_and_send)
