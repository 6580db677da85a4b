"""The reservation API with the settings, channels and ledger of this installation."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

from fastapi import FastAPI

from adapters.channels.config import ChannelConfigBase, Secret
from adapters.database import create_engine, database_url, in_transaction
from adapters.settings import Settings
from adapters.wakeups import PUBLISH, wake
from onhand.services.reservation_api import Terms, create_app
from onhand.services.reservation_desk import Desk
from onhand.services.tokens import TokenError, Tokens


def tokens_from(channels: Mapping[str, ChannelConfigBase], secret: Secret) -> Tokens:
    """The tokens of the channels that have one. Raises TokenError, and what `secret` raises.

    A channel with a token that does not ask first would count twice: by what it holds and by what it shows.
    """
    given = {}
    for code, channel in channels.items():
        names = channel.reservation_token_env
        if names is None:
            continue
        if not channel.asks_first:
            raise TokenError(f"channel {code} has reservation_token_env but not asks_first = true")
        given[code] = [(name, secret(name)) for name in ((names,) if isinstance(names, str) else names)]
    if not given:
        raise TokenError("no channel of the channels file has asks_first = true and reservation_token_env")
    return Tokens(given)


@contextmanager
def open_app(settings: Settings, tokens: Tokens) -> Iterator[FastAPI]:
    """The app on the ledger of the settings; closed at the end."""
    # One connection for each writer, four for those who read, one for waking.
    engine = create_engine(database_url(settings), application_name="onhand reservations", pool_size=8)
    terms = Terms(
        ttl=timedelta(seconds=min(settings.reservation_ttl_seconds, settings.reservation_longest_ttl_seconds)),
        longest_ttl=timedelta(seconds=settings.reservation_longest_ttl_seconds),
    )
    try:
        with Desk(
            partial(in_transaction, engine), lambda: datetime.now(UTC), wake=lambda: wake(engine, PUBLISH)
        ) as desk:
            yield create_app(desk, tokens, terms)
    finally:
        engine.dispose()
