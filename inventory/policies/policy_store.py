"""Which policy is in force, since when, by whom. Versions are only ever added."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from inventory.policies.policy_file import PolicyFile, PolicyFileError, content_hash, parse_policy_file
from inventory.publishing.outbox import mark_dirty


@dataclass(frozen=True, slots=True)
class InForce:
    version: int
    content_hash: str
    content: str
    actor: str
    reason: str
    in_force_at: datetime


@dataclass(frozen=True, slots=True)
class Brought:
    """`changed` False: the same text was in force already, and nothing was done."""

    version: int
    content_hash: str
    changed: bool
    skus: int


def in_force(connection: Connection) -> InForce | None:
    """None: no policy file ever was; `strict` holds for everything."""
    row = connection.execute(
        text(
            "SELECT version, content_hash, content, actor, reason, in_force_at FROM policy_version "
            "ORDER BY version DESC LIMIT 1"
        )
    ).one_or_none()
    return None if row is None else InForce(*row)


def versions(connection: Connection, last: int = 20) -> list[InForce]:
    """Newest first."""
    rows = connection.execute(
        text(
            "SELECT version, content_hash, content, actor, reason, in_force_at FROM policy_version "
            "ORDER BY version DESC LIMIT :last"
        ),
        {"last": last},
    )
    return [InForce(*row) for row in rows]


def check(connection: Connection, content: str) -> PolicyFile:
    """Sound in itself and about channels and item classes that exist. Raises PolicyFileError."""
    file = parse_policy_file(content)
    channels = connection.execute(text("SELECT code FROM channel")).scalars().all()
    classes = connection.execute(text("SELECT DISTINCT item_class FROM item WHERE item_class <> ''")).scalars().all()
    unknown = file.unknown(set(channels), set(classes))
    if unknown:
        raise PolicyFileError("\n".join(unknown))
    return file


def bring_in_force(connection: Connection, content: str, *, actor: str, reason: str, now: datetime) -> Brought:
    """The text is the policy from now on; everything listed is published again. Raises PolicyFileError."""
    check(connection, content)
    connection.execute(text("LOCK TABLE policy_version IN SHARE ROW EXCLUSIVE MODE"))
    before, new_hash = in_force(connection), content_hash(content)
    if before is not None and before.content_hash == new_hash:
        return Brought(before.version, new_hash, False, 0)
    version = connection.execute(
        text(
            "INSERT INTO policy_version (content_hash, content, actor, reason, in_force_at, looked_at) "
            "VALUES (:hash, :content, :actor, :reason, :now, :now) RETURNING version"
        ),
        {"hash": new_hash, "content": content, "actor": actor, "reason": reason, "now": now},
    ).scalar_one()
    # Until the SKUs are published under the new policy, the pool is kept as strict keeps it.
    connection.execute(text("DELETE FROM pool_kept"))
    skus = set(connection.execute(text("SELECT DISTINCT sku FROM listing")).scalars())
    mark_dirty(connection, skus, now=now, eager=False)
    return Brought(version, new_hash, True, len(skus))


def turned(connection: Connection, *, now: datetime) -> list[str]:
    """Promotions that began or ended since this was last asked: marks what they are about, and names them."""
    row = connection.execute(
        text(
            """
            WITH newest AS (SELECT version, looked_at FROM policy_version ORDER BY version DESC LIMIT 1 FOR UPDATE)
            UPDATE policy_version SET looked_at = greatest(policy_version.looked_at, :now) FROM newest
            WHERE policy_version.version = newest.version
            RETURNING newest.looked_at AS before, policy_version.content
            """
        ),
        {"now": now},
    ).one_or_none()
    if row is None:
        return []
    rules = [rule for at, rule in parse_policy_file(row.content).boundaries() if row.before < at <= now]
    for rule in rules:
        skus = connection.execute(
            text(
                """
                SELECT DISTINCT listing.sku FROM listing JOIN item ON item.sku = listing.sku
                WHERE (cardinality(CAST(:channels AS text[])) = 0 OR listing.channel = ANY(:channels))
                  AND (cardinality(CAST(:classes AS text[])) = 0 OR item.item_class = ANY(:classes))
                """
            ),
            {"channels": list(rule.channels), "classes": list(rule.classes)},
        )
        mark_dirty(connection, set(skus.scalars()), now=now, eager=False)
    return [rule.name for rule in rules]
