"""Who may do what, and who has to approve it: responsible, accountable, consulted, informed.

Prefect's open-source server knows no users, so a person here is the name that somebody typed: a claim. The rules
hold as far as the claim does (docs/operations.md says how to put a door in front that asks for a password).
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

EVERYBODY = "*"
"""As a member of a role: whoever gives a name."""


class Action(StrEnum):
    """What the flows check. Each is in the RACI file."""

    ADJUST_STOCK = "adjust_stock"
    TRANSFER_STOCK = "transfer_stock"
    PAUSE_CHANNEL = "pause_channel"
    RESUME_CHANNEL = "resume_channel"
    SYNC_NOW = "sync_now"
    PROMO_GUARD = "promo_guard"
    RELEASE_QUARANTINE = "release_quarantine"
    DISMISS_ROWS = "dismiss_rows"
    """Rows that the gate holds back are declared to be no sale and no stock."""
    APPROVE_COUNTS = "approve_counts"
    """Counted differences outside the band are posted or rejected."""


class NotAllowed(Exception):
    """The RACI file does not let this person do this. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Right:
    """Of one action. A limit of None is no limit, of 0: always somebody else has to approve."""

    responsible: tuple[str, ...]
    """Roles that may do it."""
    accountable: str
    """The role that approves it above the limits."""
    consulted: tuple[str, ...] = ()
    informed: tuple[str, ...] = ()
    units: int | None = None
    value: Decimal | None = None
    """In the currency of the items' unit costs."""


@dataclass(frozen=True, slots=True)
class Duty:
    """What no flow checks, but somebody answers for: read by people."""

    responsible: tuple[str, ...]
    accountable: str
    consulted: tuple[str, ...] = ()
    informed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Raci:
    roles: Mapping[str, tuple[str, ...]]
    """{role: names of people}"""
    rights: Mapping[Action, Right]
    duties: Mapping[str, Duty]

    def holds(self, role: str, person: str) -> bool:
        members = self.roles[role]
        return bool(same_name(person)) and (
            EVERYBODY in members or same_name(person) in {same_name(one) for one in members}
        )

    def who(self, role: str) -> str:
        """For people: the role and who fills it."""
        members = self.roles[role]
        return f"{role} (anybody)" if EVERYBODY in members else f"{role} ({', '.join(members)})"


def same_name(name: str) -> str:
    """Equal for one person however it is spaced and capitalised. Empty for a name without a letter."""
    folded = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    return folded if any(character.isalnum() for character in folded) else ""


def check_may(raci: Raci, action: Action, person: str) -> None:
    """Raises NotAllowed."""
    right = raci.rights[action]
    if not same_name(person):
        raise NotAllowed(f"{action}: give your name")
    if not any(raci.holds(role, person) for role in right.responsible):
        roles = ", ".join(raci.who(role) for role in right.responsible)
        raise NotAllowed(f"{person} may not {action}: {roles} may. Nothing was changed")


def needs_approval(raci: Raci, action: Action, *, units: int = 0, value: Decimal | None = None) -> str:
    """Why somebody else has to approve it; empty: nobody has to. `value` None: not known, and only units count."""
    right = raci.rights[action]
    if right.units == 0 or right.value == 0:
        return f"{action} always has to be approved"
    if right.units is not None and abs(units) > right.units:
        return f"{abs(units)} units are more than {right.units}"
    if right.value is not None and value is not None and abs(value) > right.value:
        return f"a value of {abs(value):.2f} is more than {right.value:.2f}"
    return ""


def why_not_approver(raci: Raci, action: Action, person: str, actor: str) -> str:
    """Why this person's approval does not count; empty: it counts."""
    if not same_name(person):
        return "give your name"
    if same_name(person) == same_name(actor):
        return f"{person} asked for it: somebody else has to decide"
    role = raci.rights[action].accountable
    if not raci.holds(role, person):
        return f"{person} may not approve {action}: {raci.who(role)} may"
    return ""
