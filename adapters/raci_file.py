"""The RACI file: who may do and approve what. Every mistake is told in one line that names its place."""

import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.channels.http_config import problems_of
from inventory.people.raci import Action, Duty, Raci, Right, same_name


class RaciError(ValueError):
    """The file is missing or makes no sense; one line a mistake."""


_Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"\S")]
_Roles = Annotated[tuple[_Name, ...], Field(max_length=50)]


class _Who(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False)
    responsible: Annotated[_Roles, Field(min_length=1)]
    accountable: _Name
    consulted: _Roles = ()
    informed: _Roles = ()

    def roles(self) -> set[str]:
        return {*self.responsible, self.accountable, *self.consulted, *self.informed}


class _Right(_Who):
    units: Annotated[int | None, Field(ge=0, le=10**9, strict=True)] = None
    value: Annotated[Decimal | None, Field(ge=0, le=10**12, allow_inf_nan=False)] = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    roles: dict[_Name, Annotated[tuple[_Name, ...], Field(min_length=1, max_length=1000)]]
    action: dict[Action, _Right]
    duty: dict[_Name, _Who] = {}


def read_raci(path: Path) -> Raci:
    """Raises RaciError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RaciError(f"{path} does not exist; onhand comes with one: raci.toml") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RaciError(f"{path} cannot be read as TOML: {error}") from None
    try:
        file = _File.model_validate(content)
    except ValidationError as error:
        raise RaciError("\n".join(f"{path}: {problem}" for problem in problems_of(error))) from None
    mistakes = list(_mistakes(file))
    if mistakes:
        raise RaciError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return Raci(
        roles={role: tuple(members) for role, members in file.roles.items()},
        rights={
            action: Right(one.responsible, one.accountable, one.consulted, one.informed, one.units, one.value)
            for action, one in file.action.items()
        },
        duties={
            name: Duty(one.responsible, one.accountable, one.consulted, one.informed) for name, one in file.duty.items()
        },
    )


def _mistakes(file: _File) -> Iterator[str]:
    for action in Action:
        if action not in file.action:
            yield f"[action.{action}] is missing: say who may do it and who approves it"
    for place, one in [*((f"action.{a}", r) for a, r in file.action.items()), *_duties(file)]:
        for role in sorted(one.roles() - set(file.roles)):
            yield f"[{place}] names the role {role!r}, which [roles] does not have"
    for role, members in file.roles.items():
        for member in members:
            if member != "*" and not same_name(member):
                yield f"[roles] {role}: {member!r} is no name"
    for action, right in file.action.items():
        doing = {same_name(one) for role in right.responsible for one in file.roles.get(role, ())}
        deciding = {same_name(one) for one in file.roles.get(right.accountable, ())} if right.accountable else set()
        limited = right.units is not None or right.value is not None
        if limited and len(deciding) == 1 and deciding == doing and "" not in deciding:
            yield f"[action.{action}]: {right.accountable} is the one person who may do it: nobody is left to approve"


def _duties(file: _File) -> Iterator[tuple[str, _Who]]:
    for name, one in file.duty.items():
        yield f"duty.{name}", one
