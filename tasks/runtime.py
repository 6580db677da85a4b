"""What the tasks of one process share: the engine, the adapters, the clock. Made once, handed to plain functions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import uuid4

import pandas as pd
from sqlalchemy import Engine

from adapters.channels.protocol import Channel
from adapters.channels.registry import ChannelConfig, open_channel, read_channels
from adapters.database import create_engine, database_url
from adapters.settings import secret, settings
from expectations import gate
from expectations.parameters import Parameters
from expectations.verdict import Verdict


@dataclass
class Runtime:
    """`channel(code)` opens an adapter for one thread; `owner` names this process in leases."""

    engine: Engine
    open: Callable[[str], Channel]
    now: Callable[[], datetime]
    owner: str = field(default_factory=lambda: f"process-{uuid4().hex[:12]}")
    lease: timedelta = timedelta(minutes=2)
    """How long what this process has claimed stays its own; then another takes it for dead."""
    check: Callable[[str, pd.DataFrame, Parameters], Verdict] = gate.check
    """The gate. A long simulation hands in its plain masks, which a property test holds equal."""
    at_once: int = 8
    """Channels that are read or written at the same time. One makes a simulation repeatable."""

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
