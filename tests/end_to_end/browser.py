"""A real browser by the DevTools protocol: open a page, wait for text, click, fill in, take a picture."""

import base64
import itertools
import json
import shutil
import struct
import subprocess
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1400, 900
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
    f"--window-size={WIDTH},{HEIGHT}",
)
_PNG = b"\x89PNG\r\n\x1a\n"

# What a person sees: of several elements with a text the innermost that is shown.
_FIND = """
(function (text, exact) {
  const shown = (e) => e.getClientRects().length && getComputedStyle(e).visibility !== "hidden";
  const fits = (e) => { const t = (e.innerText || "").trim(); return exact ? t === text : t.includes(text); };
  const found = [...document.querySelectorAll("body *")].filter((e) => shown(e) && fits(e));
  return found.find((e) => !found.some((other) => other !== e && e.contains(other))) || null;
})
"""


class BrowserError(AssertionError):
    """The page does not show what was waited for; the message has what it shows."""


def program() -> str | None:
    """The path of an installed Chromium, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def _control(label: str) -> str:
    return f"{_label(label)}?.control"


def _label(label: str) -> str:
    """An expression for the label with this text, or else for one that begins with it."""
    text = "e.innerText.trim().replace(' (Optional)', '')"
    labels, wanted = "[...document.querySelectorAll('label')]", json.dumps(label)
    return f"({labels}.find((e) => {text} === {wanted}) ?? {labels}.find((e) => {text}.startsWith({wanted})))"


class Page:
    """One tab. Everything is found by the text that a person reads."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.call("Page.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            if message.get("id") == number:
                if "error" in message:
                    raise BrowserError(f"{method}: {message['error']['message']}")
                result: dict[str, Any] = message["result"]
                return result

    def script(self, expression: str) -> Any:
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise BrowserError(
                f"{expression[:100]}: {done['exceptionDetails'].get('exception', {}).get('description')}"
            )
        return done["result"].get("value")

    def open(self, url: str, *texts: str) -> str:
        """Go there and wait until each of the texts is shown; everything that is shown then."""
        self.call("Page.navigate", url=url)
        return self.see(*texts)

    def text(self) -> str:
        return str(self.script("document.body ? document.body.innerText : ''") or "")

    def see(self, *texts: str, seconds: float = 60.0) -> str:
        """Wait until each of the texts is shown; everything that is shown then."""
        missing = list(texts)

        def all_there() -> bool:
            shown = self.text()
            missing[:] = [text for text in texts if text not in shown]
            return not missing

        self.wait(all_there, lambda: f"{missing} not shown, but: {self.text()[:1500]}", seconds)
        return self.text()

    def wait(self, met: Callable[[], Any], otherwise: Callable[[], str], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not met():
            if time.monotonic() > deadline:
                raise BrowserError(otherwise())
            time.sleep(0.1)

    def address(self) -> str:
        return str(self.script("location.href"))

    def click(self, text: str, *, exact: bool = True) -> None:
        """A real click of the mouse into the middle of the element with this text, once it rests there.

        A page that is still loading moves what it shows: a click where the element was a moment ago hits nothing,
        or something else.
        """
        place = f"""
            (() => {{
              const e = {_FIND}({json.dumps(text)}, {json.dumps(exact)});
              if (!e) return null;
              e.scrollIntoView({{block: "center", behavior: "instant"}});
              const r = e.getBoundingClientRect();
              const x = r.x + r.width / 2, y = r.y + r.height / 2;
              const hit = document.elementFromPoint(x, y);
              return hit && (e.contains(hit) || hit.contains(e)) ? [x, y] : null;
            }})()
        """
        seen: list[Any] = [None]

        def rests() -> bool:
            seen.append(self.script(place))
            return seen[-1] is not None and seen[-1] == seen[-2]

        self.wait(rests, lambda: f"no {text!r} that can be clicked in: {self.text()[:1500]}")
        x, y = seen[-1]
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def fill(self, label: str, value: str) -> None:
        """Replace what stands in the field with this label; again when a page that is still loading draws it anew."""
        found = _control(label)

        def filled() -> bool:
            if not self.script(f"!!{found}"):
                return False
            self.script(f"{found}?.scrollIntoView({{block: 'center'}}); {found}?.focus(); {found}?.select()")
            self.call("Input.insertText", text=value)
            return bool(self.script(f"{found}?.value") == value)

        self.wait(filled, lambda: f"no field {label!r} that keeps {value!r} in: {self.text()[:1500]}")

    def give(self, label: str, value: object) -> None:
        """Fill a field of any kind: text, number, switch (bool), choice (its text), date (one that the calendar shows
        when it opens), list (of texts)."""
        if isinstance(value, list):
            for one in value:
                self._add(label, str(one))
            return
        control = _control(label)
        self.wait(lambda: self.script(f"!!{control}"), lambda: f"no field {label!r} in: {self.text()[:1500]}")
        if self.script(f"{control}.tagName") != "BUTTON":
            self.fill(label, str(value))
        elif isinstance(value, bool):
            if (self.script(f"{control}.dataset.state") == "checked") is not value:
                self.press(control)
        elif isinstance(value, date):
            self.press(control)
            self.press(f"document.querySelector('[role=dialog] td[data-day=\"{value.isoformat()}\"] button')")
            self.key("Escape")
        else:
            self.press(control)
            self.wait(
                lambda: self.script("!!document.querySelector('[cmdk-input]')"), lambda: f"{label!r} does not open"
            )
            self.call("Input.insertText", text=str(value))
            self.settle(0.2)
            self.key("Enter")

    def _add(self, label: str, value: str) -> None:
        group = f"""(() => {{
            let e = {_label(label)};
            while (e && !e.innerText.includes("Add item")) e = e.parentElement;
            return e;
        }})()"""
        fields = f"[...{group}.querySelectorAll('textarea, input')]"
        before = self.script(f"{fields}.length")
        self.press(f"[...{group}.querySelectorAll('button')].find((e) => e.innerText.trim() === 'Add item')")
        self.wait(lambda: self.script(f"{fields}.length") > before, lambda: f"no new item in {label!r}")
        self.script(f"{fields}.at(-1).focus()")
        self.call("Input.insertText", text=value)
        self.settle(0.2)

    def press(self, found: str) -> None:
        """A click of the mouse into the middle of the element that this expression finds."""
        self.wait(lambda: self.script(f"!!{found}"), lambda: f"{found} is not there: {self.text()[:1500]}")
        self.script(f"{found}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        self.settle(0.3)
        x, y = self.script(
            f"(() => {{ const r = {found}.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] }})()"
        )
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def key(self, name: str) -> None:
        text = {"Enter": "\r"}.get(name, "")
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, code=name, text=text,
                  windowsVirtualKeyCode={"Enter": 13, "Escape": 27}[name])  # fmt: skip
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, code=name)
        self.settle(0.3)

    def settle(self, seconds: float = 1.0) -> None:
        """Let pictures and transitions come to rest."""
        time.sleep(seconds)

    def picture(self, height: int = HEIGHT) -> bytes:
        """PNG of the page, `WIDTH` wide."""
        self.call("Emulation.setDeviceMetricsOverride", width=WIDTH, height=height, deviceScaleFactor=1, mobile=False)
        self.settle()
        data = self.call("Page.captureScreenshot", format="png", optimizeForSpeed=False)["data"]
        return smaller(base64.b64decode(data))


@contextmanager
def browser() -> Iterator[Page]:
    """A browser with a profile of its own, ended with its page."""
    path = program()
    if path is None:
        raise BrowserError("Chromium is not installed")
    with tempfile.TemporaryDirectory(prefix="onhand-browser-", ignore_cleanup_errors=True) as profile:
        child = subprocess.Popen(
            [path, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        try:
            address = _page_socket(child, Path(profile) / "DevToolsActivePort")
            with connect(address, max_size=64_000_000, proxy=None, open_timeout=60) as socket:
                page = Page(socket)
                yield page
                page.call("Browser.close")
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(10)


def _page_socket(child: "subprocess.Popen[bytes]", file: Path) -> str:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise BrowserError(f"Chromium ended with code {child.returncode}")
        try:
            port = int(file.read_text().split()[0])
            pages = httpx.get(f"http://127.0.0.1:{port}/json/list", timeout=30, trust_env=False).json()
            return str(next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"))
        except (OSError, IndexError, ValueError, StopIteration, httpx.HTTPError):
            time.sleep(0.1)
    raise BrowserError("Chromium does not open its port for us within 90 s")


def smaller(png: bytes) -> bytes:
    """The same picture, packed as tightly as zlib can, without what is not the picture."""
    chunks: list[tuple[bytes, bytes]] = []
    place = len(_PNG)
    while place < len(png):
        (size,) = struct.unpack(">I", png[place : place + 4])
        chunks.append((png[place + 4 : place + 8], png[place + 8 : place + 8 + size]))
        place += size + 12
    header = next(data for kind, data in chunks if kind == b"IHDR")
    pixels = zlib.compress(zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT")), 9)
    parts = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    packed = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return min(png, _PNG + packed, key=len)
