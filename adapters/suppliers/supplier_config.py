"""The suppliers whose stock is read, from one file: where each feed is, how it is written, how old it may be.

`suppliers.toml` holds addresses and shapes; secrets stay in the environment or in Prefect's blocks, and the file names
them. Every key is explained in `docs/goods.md`; `docs/suppliers.example.toml` is a whole one. Every mistake is told in
one line that names the supplier and the field.
"""

import codecs
import tomllib
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, field_validator, model_validator

from adapters.channels.declared.declared_models import Auth
from adapters.channels.declared.declared_values import Path, Table, compile_path
from adapters.channels.http_config import problems_of

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_XML_PATH = r"^[^/@\s]+(/[^/@\s]+)*$"
_XML_VALUE = r"^([^/@\s]+/)*@?[^/@\s]+$"

JmesPath = Annotated[Path, BeforeValidator(compile_path)]


class SupplierFileError(ValueError):
    """The suppliers' file makes no sense; one line a mistake."""


class CsvShape(Table):
    """Names of columns, as the first line writes them."""

    format: Literal["csv"]
    code: str = Field(min_length=1)
    quantity: str = Field(min_length=1)
    promised_at: str = ""
    as_of: str = ""
    encoding: str = "utf-8"
    delimiter: str = Field(default=",", min_length=1, max_length=1, pattern=r"[^\"\r\n]")
    last_line_ends: bool = True
    """False: the supplier's files never end in a line break, so a missing one means nothing."""

    @field_validator("encoding")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            found = codecs.lookup(name)
            text = found._is_text_encoding
        except (LookupError, ValueError):
            text = False
        if not text:
            raise ValueError("is no encoding of text; write utf-8, windows-1252, iso-8859-1, utf-16, …")
        return name


class JsonShape(Table):
    """JMESPath expressions: `records` and `as_of` from the document, the others from one record."""

    format: Literal["json"]
    records: JmesPath = compile_path("@")
    code: JmesPath
    quantity: JmesPath
    promised_at: JmesPath | None = None
    as_of: JmesPath | None = None


class XmlShape(Table):
    """Paths of element names, `a/b`, or of an attribute, `a/b/@c`; namespaces are left out. `records` and `as_of` begin
    at the root element, the others in one record."""

    format: Literal["xml"]
    records: str = Field(pattern=_XML_PATH)
    code: str = Field(pattern=_XML_VALUE)
    quantity: str = Field(pattern=_XML_VALUE)
    promised_at: str = Field(default="", pattern=rf"{_XML_VALUE}|^$")
    as_of: str = Field(default="", pattern=rf"{_XML_VALUE}|^$")


Shape = Annotated[CsvShape | JsonShape | XmlShape, Field(discriminator="format")]


class Supplier(Table):
    code: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    source: str = Field(min_length=1, max_length=2000)
    """`https://…`, or the path of a file; a relative one counts from the data folder."""
    feed: Shape
    auth: Auth | None = None
    timeout_s: float = Field(default=30, gt=0, le=600)
    max_bytes: int = Field(default=20 * 1024**2, ge=1, le=200 * 1024**2)
    max_age_hours: float = Field(default=26, gt=0, le=24 * 366)
    """What the supplier says is worth nothing after that."""
    whole: bool = True
    """The feed has all that the supplier has: what is not in it is gone. False: it has only what changed."""
    prefix: str = Field(default="", max_length=30)
    """Put before the supplier's code before it is looked up, where two suppliers use one code for two things."""
    words: dict[str, int] = Field(default_factory=dict)
    """What stands for a quantity: `{ "in stock" = 10, ">100" = 100 }`; letter case does not matter."""
    decimals: Literal["none", "point", "comma"] = "none"
    """Whether a quantity may be written 12.0 or 12,0."""
    date_format: str = Field(default="", max_length=60)
    """As strptime takes it; empty: ISO 8601."""
    time_zone: str = "UTC"
    """Of dates that are written without an offset."""
    lost_share: float = Field(default=0.5, ge=0, le=1)
    zero_share: float = Field(default=0.5, ge=0, le=1)
    changed_share: float = Field(default=0.9, ge=0, le=1)
    sells_ahead: bool = False
    """A policy counts this stock: what changes is published again."""

    @field_validator("words")
    @classmethod
    def _words(cls, words: dict[str, int]) -> dict[str, int]:
        if any(not 0 <= units <= 10**6 for units in words.values()):
            raise ValueError("a quantity is a whole number from 0 to 1,000,000")
        return {word.strip().casefold(): units for word, units in words.items()}

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (OSError, ValueError, KeyError):
            raise ValueError("is no time zone; write it as Europe/Berlin") from None
        return name

    @field_validator("source")
    @classmethod
    def _safe(cls, source: str) -> str:
        if "://" not in source:
            if "\x00" in source:
                raise ValueError("is no path")
            return source
        try:
            parts = urlsplit(source)
            host, _ = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or "\\" in source or any(one.isspace() for one in source):
            raise ValueError("is no address; write it as https://supplier.example.com/stock.csv")
        if parts.scheme not in ("http", "https") or (parts.scheme == "http" and host not in _LOOPBACK):
            raise ValueError("must begin with https://, for what is read there could be changed on the way")
        if "@" in parts.netloc:
            raise ValueError("holds a user or a password; write them into auth, as names of environment variables")
        return source

    @property
    def remote(self) -> bool:
        return "://" in self.source

    @model_validator(mode="after")
    def _fits_together(self) -> "Supplier":
        if self.auth is not None and not self.remote:
            raise ValueError("auth is for feeds that are fetched; a file needs none")
        return self


_suppliers: TypeAdapter[list[Supplier]] = TypeAdapter(list[Supplier])


def read_suppliers(path: FilePath) -> dict[str, Supplier]:
    """The suppliers of a file, by code; none when there is no file. Raises SupplierFileError."""
    try:
        content: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SupplierFileError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise SupplierFileError(f"{path} is not valid TOML: {error}") from None
    unknown = sorted(set(content) - {"supplier"})
    if unknown:
        raise SupplierFileError(f"{path} has {unknown[0][:60]!r}; it holds [[supplier]] tables and nothing else")
    try:
        suppliers = _suppliers.validate_python(content.get("supplier", []))
    except ValidationError as error:
        problems = problems_of(error, "supplier")
        raise SupplierFileError("\n".join(f"{path}: {problem}" for problem in problems)) from None
    by_code = {supplier.code: supplier for supplier in suppliers}
    if len(by_code) != len(suppliers):
        raise SupplierFileError(f"{path} has two suppliers with one code")
    return by_code
