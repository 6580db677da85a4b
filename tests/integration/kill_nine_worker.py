"""Workers that pull and publish without end, each a process of its own; one may be told where to kill itself.

Imports once and forks a worker for each line of its input: JSON with `database`, `shopify`, `website` (URLs) and
`die_at`, which is null or [place, n]: at the n-th time it comes there, it sends itself SIGKILL, so that nothing is
tidied up. Prints the worker's process id, and when it has ended the signal that ended it.
"""

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shops import open_shop
from sqlalchemy import event

from adapters.channels.protocol import Change, ChangeResult, Channel, OrderPage, Reading
from adapters.database import create_engine
from adapters.http import ChannelFault
from expectations import gate
from tasks.publishing.publish import publish
from tasks.runtime import Runtime
from tasks.selling.pull import pull

LEASE = timedelta(seconds=1)


class Fate:
    def __init__(self, die_at: tuple[str, int] | None) -> None:
        self.die_at, self.seen = die_at, Counter[str]()

    def comes_to(self, place: str) -> None:
        self.seen[place] += 1
        if self.die_at is not None and (place, self.seen[place]) == tuple(self.die_at):
            os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """The real adapter, with the places where a process likes to die."""

    def __init__(self, channel: Channel, fate: Fate) -> None:
        self.channel, self.fate = channel, fate
        self.code, self.capabilities = channel.code, channel.capabilities

    def pull_orders(self, updated_since: datetime) -> Iterator[OrderPage]:
        for page in self.channel.pull_orders(updated_since):
            yield page
            if page.orders:
                self.fate.comes_to("page stored")

    def read_quantities(self, listing_refs: Sequence[str]) -> list[Reading]:
        return self.channel.read_quantities(listing_refs)

    def set_quantities(self, changes: Sequence[Change], key: str) -> list[ChangeResult]:
        self.fate.comes_to("before write")
        results = self.channel.set_quantities(changes, key)
        self.fate.comes_to("after write")
        return results

    def close(self) -> None:
        self.channel.close()


def main() -> None:
    for told in sys.stdin:
        pid = os.fork()
        if pid == 0:
            work(json.loads(told))
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else f"ended: {status}", flush=True)


def work(told: dict[str, Any]) -> NoReturn:
    fate = Fate(told["die_at"])
    engine = create_engine(told["database"])

    @event.listens_for(engine, "before_cursor_execute")
    def statement(_a: Any, _b: Any, sql: str, *_: Any) -> None:
        for place, words in PLACES.items():
            if words in sql:
                fate.comes_to(place)

    runtime = Runtime(
        engine,
        lambda code: Mortal(open_shop(code, told[code]), fate),
        lambda: datetime.now(UTC),
        lease=LEASE,
        # What the gate says is tried elsewhere; its import takes longer than this process lives.
        check=gate.recheck,
    )
    while True:
        for code in ("shopify", "website"):
            with suppress(ChannelFault):
                pull(runtime, code)
        publish(runtime)
        time.sleep(0.01)


PLACES = {
    "applying": "INSERT INTO order_line",
    "applied": "UPDATE inbox SET status",
    "settling": "UPDATE listing SET exposure = least",
    "beginning": "INSERT INTO publication",
    "answering": "UPDATE publication",
    "finishing": "DELETE FROM outbox",
}

if __name__ == "__main__":
    main()
