"""Setting up what is sold where: items, bundles, locations, channels, listings. Idempotent, set-wise."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import SQLModel

from inventory.tables import BundleComponent, Channel, ChannelLocation, Item, Listing, Location, SkuAlias
from inventory.words import ChannelMode, WriteMode

_CHUNK = 1000
"""Rows a statement: PostgreSQL takes at most 65,535 parameters."""


@dataclass(frozen=True, slots=True)
class ChannelSetup:
    """One channel; see `inventory.tables.Channel` for the units and meaning of each field."""

    code: str
    vendor: str
    write_mode: WriteMode
    locations: tuple[str, ...]
    mode: ChannelMode = ChannelMode.SHADOW
    share: int = 1
    settle_seconds: float = 600
    in_doubt_seconds: float = 600
    overlap_seconds: float = 600
    asks_first: bool = False


def add_items(connection: Connection, items: Mapping[str, str]) -> None:
    """{SKU: title}; an item that exists keeps its margins and gets the title."""
    _upsert(connection, Item, [{"sku": sku, "title": title} for sku, title in items.items()], ["sku"])


def add_aliases(connection: Connection, aliases: Mapping[str, str]) -> None:
    _upsert(connection, SkuAlias, [{"alias": alias, "sku": sku} for alias, sku in aliases.items()], ["alias"])


def add_bundle(connection: Connection, bundle_sku: str, components: Mapping[str, int]) -> None:
    rows = [
        {"bundle_sku": bundle_sku, "component_sku": component, "quantity": quantity}
        for component, quantity in components.items()
    ]
    _upsert(connection, BundleComponent, rows, ["bundle_sku", "component_sku"])


def add_locations(connection: Connection, codes: Sequence[str]) -> None:
    """Locations in the order of their priority."""
    rows = [{"code": code, "name": code, "priority": position} for position, code in enumerate(codes)]
    _upsert(connection, Location, rows, ["code"])


def add_channel(connection: Connection, channel: ChannelSetup) -> None:
    """A channel that exists keeps its mode: the given one is only its beginning
    (`inventory.onboarding.channel_modes`)."""
    row = asdict(channel)
    locations = row.pop("locations")
    _upsert(connection, Channel, [row], ["code"], kept=("mode",))
    pairs = [{"channel": channel.code, "location": place} for place in locations]
    _upsert(connection, ChannelLocation, pairs, ["channel", "location"])


def add_listings(connection: Connection, channel: str, listings: Iterable[tuple[str, str, int]]) -> None:
    """(ref, SKU, units per listing) as this channel sells them."""
    rows = [{"channel": channel, "ref": ref, "sku": sku, "units_per_listing": units} for ref, sku, units in listings]
    _upsert(connection, Listing, rows, ["channel", "ref"])


def _upsert(
    connection: Connection,
    table: type[SQLModel],
    rows: list[dict[str, Any]],
    key: list[str],
    kept: Collection[str] = (),
) -> None:
    """Insert; where the key exists, take the given values but those `kept`, and leave the others as they are."""
    if not rows:
        return
    target = SQLModel.metadata.tables[str(table.__tablename__)]
    defaults = {
        name: field.default
        for name, field in table.model_fields.items()
        if not field.is_required() and field.default is not None and name not in rows[0]
    }
    for start in range(0, len(rows), _CHUNK):
        statement = insert(target).values([{**defaults, **row} for row in rows[start : start + _CHUNK]])
        changes = {name: statement.excluded[name] for name in rows[0] if name not in key and name not in kept}
        if changes:
            statement = statement.on_conflict_do_update(index_elements=key, set_=changes)
        else:
            statement = statement.on_conflict_do_nothing(index_elements=key)
        connection.execute(statement)
