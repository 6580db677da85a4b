"""Columns that many tables have."""

from typing import Any

from sqlalchemy import BigInteger, Column, DateTime
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field


def when(nullable: bool = False) -> Any:
    """A timestamp with time zone."""
    return Field(default=None, sa_column=Column(DateTime(timezone=True), nullable=nullable))


def json() -> Any:
    return Field(default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default="{}"))


def serial() -> Any:
    return Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
