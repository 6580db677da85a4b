"""What the tasks of one process share: the engine, the adapters, the clock. Made once, handed to plain functions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from uuid import uuid4

import pandas as pd
from sqlalchemy import Engine

from adapters.allowances import Allowances
from adapters.channels.notices import NoticeQueue
from adapters.channels.protocol import Channel
from adapters.channels.registry import ChannelConfig, open_channel, read_channels
from adapters.database import create_engine, database_url
from adapters.settings import run_of_this_process, settings
from expectations import gate
from expectations.parameters import Parameters
from expectations.verdict import Verdict
from inventory.publishing.guidance import Remembered
from inventory.publishing.left_claims import owner_of
from inventory.publishing.revisions import count_revisions
from tasks.channel_pool import ChannelPool
from tasks.named_secrets import named_secret


@dataclass
class Memory:
    """What one process keeps from pass to pass: of the policy in force, and of what failed."""

    remembered: Remembered = field(default_factory=Remembered)
    troubled: set[tuple[str, str]] = field(default_factory=set)
    """(channel, call) whose faults this process has noted (`tasks.selling.trouble`)."""


def some_owner() -> str:
    return f"process-{uuid4().hex[:12]}"


@dataclass
class Runtime:
    """`channel(code)` opens an adapter for one thread; `owner` names this process in leases."""

    engine: Engine
    open: Callable[[str], Channel]
    now: Callable[[], datetime]
    owner: str = field(default_factory=some_owner)
    lease: timedelta = timedelta(minutes=2)
    """How long what this process has claimed stays its own; then another takes it for dead."""
    check: Callable[[str, pd.DataFrame, Parameters], Verdict] = gate.check
    """The gate. A long simulation hands in its plain masks, which a property test holds equal."""
    queue: Callable[[str], NoticeQueue | None] = lambda code: None
    """Opens the queue that a channel puts its notices in, for one thread; None for a channel without."""
    expects_notices: Callable[[str], bool] = lambda code: False
    """Whether a channel is set up to tell of its orders by itself (webhooks or a queue)."""
    pool: ChannelPool | None = None
    """Where opened adapters are kept between calls. None: each call opens one and closes it."""
    configs: Mapping[str, ChannelConfig] = field(default_factory=dict)
    """The channels as `channels.toml` has them, by code."""
    at_once: int = 8
    """Channels that are read or written at the same time. One makes a simulation repeatable."""

    memory: Memory = field(default_factory=Memory)

    @contextmanager
    def channel(self, code: str) -> Iterator[Channel]:
        if self.pool is None:
            adapter = self.open(code)
            try:
                yield adapter
            finally:
                adapter.close()
            return
        adapter = self.pool.take(code)
        try:
            yield adapter
        except BaseException:
            # What went wrong may be its credential or its connection: the next call begins anew.
            self.pool.drop(adapter)
            raise
        self.pool.give_back(code, adapter)


@lru_cache(maxsize=1)
def runtime() -> Runtime:
    """The runtime of this process, from its settings."""
    configured = settings()
    configs: dict[str, ChannelConfig] = read_channels(configured.channels_file)

    def revisions(code: str, refs: Sequence[str], since: datetime, until: datetime) -> dict[str, int]:
        with engine.connect() as connection:
            return count_revisions(connection, code, refs, since=since, until=until)

    def open_by_code(code: str) -> Channel:
        if code not in configs:
            raise KeyError(f"no channel {code!r}; {configured.channels_file.name} has {', '.join(sorted(configs))}")
        return open_channel(configs[code], named_secret, revisions, Allowances(engine, code))

    def queue(code: str) -> NoticeQueue | None:
        return configs[code].queue(named_secret) if code in configs else None

    @cache
    def expects_notices(code: str) -> bool:
        return code in configs and configs[code].tells_by_itself()

    engine = create_engine(database_url(configured), pool_size=configured.database_pool_size)
    run_id = run_of_this_process()
    return Runtime(
        engine,
        open_by_code,
        lambda: datetime.now(UTC),
        # By its run's name, so that what it holds is free as soon as that run is known to be dead.
        owner=owner_of(run_id) if run_id else some_owner(),
        queue=queue,
        expects_notices=expects_notices,
        pool=ChannelPool(open_by_code),
        configs=configs,
    )
