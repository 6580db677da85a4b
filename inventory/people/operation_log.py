"""What people did by hand: who, what, to what, why, and who approved it."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

LONGEST_WORDS = 500


class UnfitWords(ValueError):
    """A name or a reason that nobody could read later. Nothing was changed."""


def check_words(**given: str) -> None:
    """What a form sends as words: something is there, no control characters, and it fits. Raises UnfitWords."""
    for name, words in given.items():
        if not words.strip():
            raise UnfitWords(f"{name} is empty. Nothing was changed")
        if any(ord(character) < 32 or 0xD800 <= ord(character) < 0xE000 for character in words):
            raise UnfitWords(f"{name} holds a character that cannot be kept. Nothing was changed")
        if len(words) > LONGEST_WORDS:
            raise UnfitWords(f"{name} is longer than {LONGEST_WORDS} characters. Nothing was changed")


@dataclass(frozen=True, slots=True)
class Done:
    """`request_key` names the request, so that repeating it repeats nothing."""

    request_key: str
    action: str
    subject: str
    actor: str
    reason: str
    approved_by: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


_NOTE = text(
    """
    INSERT INTO operation (request_key, action, subject, actor, approved_by, reason, detail, at)
    VALUES (:request_key, :action, :subject, :actor, :approved_by, :reason, :detail, :now)
    ON CONFLICT (request_key) DO NOTHING RETURNING id
    """
).bindparams(bindparam("detail", type_=JSONB))


def note_operation(connection: Connection, done: Done, *, now: datetime) -> bool:
    """Keep it, in the transaction that does it; False when this request was done before."""
    given = {
        "request_key": done.request_key,
        "action": done.action,
        "subject": done.subject,
        "actor": done.actor,
        "approved_by": done.approved_by,
        "reason": done.reason,
        "detail": done.detail,
        "now": now,
    }
    return connection.execute(_NOTE, given).first() is not None


def was_done(connection: Connection, request_key: str) -> bool:
    found = connection.execute(text("SELECT FROM operation WHERE request_key = :key"), {"key": request_key})
    return found.first() is not None


def unit_costs(connection: Connection, skus: Collection[str]) -> dict[str, Decimal]:
    """What one unit costs, of those SKUs whose cost is known."""
    rows = connection.execute(
        text("SELECT sku, unit_cost FROM item_cost WHERE sku = ANY(:skus)"), {"skus": sorted(set(skus))}
    )
    return {row.sku: row.unit_cost for row in rows}
