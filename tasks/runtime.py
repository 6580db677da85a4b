"""What the tasks of one process share: the engine, the adapters, the clock. Made once, handed to plain functions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from uuid import uuid4

from sqlalchemy import Engine

from adapters.channels.protocol import Channel
from adapters.channels.registry import ChannelConfig, open_channel, read_channels
from adapters.database import create_engine, database_url
from adapters.settings import secret, settings


@dataclass
class Runtime:
    """`channel(code)` opens an adapter for one thread; `owner` names this process in leases."""

    engine: Engine
    open: Callable[[str], Channel]
    now: Callable[[], datetime]
    owner: str = field(default_factory=lambda: f"process-{uuid4().hex[:12]}")

    @contextmanager
    def channel(self, code: str) -> Iterator[Channel]:
        adapter = self.open(code)
        try:
            yield adapter
        finally:
            adapter.close()


@lru_cache(maxsize=1)
def runtime() -> Runtime:
    """The runtime of this process, from its settings."""
    configured = settings()
    configs: dict[str, ChannelConfig] = read_channels(configured.channels_file)

    def open_by_code(code: str) -> Channel:
        if code not in configs:
            raise KeyError(f"no channel {code!r}; {configured.channels_file.name} has {', '.join(sorted(configs))}")
        return open_channel(configs[code], secret)

    engine = create_engine(database_url(configured), pool_size=configured.database_pool_size)
    return Runtime(engine, open_by_code, lambda: datetime.now(UTC))
