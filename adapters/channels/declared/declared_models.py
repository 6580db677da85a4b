"""The tables of a declared channel: how it is asked. What its answers mean is in `declared_fields`."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from adapters.channels.declared import declared_templates as templates
from adapters.channels.declared.declared_values import Expression, Table
from adapters.http import Resolution

PAGING = frozenset({"page", "offset", "cursor", "page_size"})
SecretName = Annotated[str, Field(pattern=r"^(block:onhand-[a-z]+/[a-z0-9-]+\.[a-z_]+|[A-Za-z_][A-Za-z0-9_]*)$")]
"""Name of the environment variable, or of the field of a credential block, with the value; never the value itself."""


class Request(Table):
    """One request as a template."""

    placeholders: ClassVar[frozenset[str]] = frozenset()

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: str
    """Below `base_url`, beginning with a slash."""
    params: dict[str, str | int | bool] = Field(default_factory=dict)
    """Of the query. One whose placeholder has no value is left out."""
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None
    """JSON. A text that is one placeholder alone takes the type of its value."""
    lists: Literal["comma", "repeat"] = "comma"
    """How a placeholder of several values stands in a parameter: `a=1,2` or `a=1&a=2`."""

    @field_validator("path")
    @classmethod
    def _path(cls, path: str) -> str:
        return templates.check_path(path)

    @field_validator("headers")
    @classmethod
    def _headers(cls, headers: dict[str, str]) -> dict[str, str]:
        templates.check_headers(headers)
        return headers

    @field_validator("path", "params", "headers", "body")
    @classmethod
    def _placeholders(cls, template: Any) -> Any:
        templates.check(template, cls.placeholders)
        return template

    def uses(self) -> set[str]:
        return templates.names_in([self.path, self.params, self.headers, self.body])


class PagesByNumber(Table):
    """`{page}` = first, first + 1, …"""

    kind: Literal["page"]
    first: int = Field(default=1, ge=0, le=1)
    total: Expression | None = None
    """How many rows there are in all."""
    more: Expression | None = None
    """True or false: is there another page?"""
    end: Literal["empty_page", "short_page"] = "empty_page"
    """How the end is known without `total` and `more`. A short page is the end only where the channel never
    gives fewer rows than were asked for."""


class PagesByOffset(Table):
    """`{offset}` = how many rows come before the page. Pages overlap by one row, as proof that none is lost."""

    kind: Literal["offset"]
    total: Expression | None = None
    more: Expression | None = None
    end: Literal["empty_page", "short_page"] = "empty_page"


class PagesByCursor(Table):
    """`{cursor}` = what the page before said; it must name a row, and not hide an offset."""

    kind: Literal["cursor"]
    cursor: Expression | None = None
    """Where it stands in the body. Null, empty or absent at the end."""
    header: str | None = None
    """Or the header of the answer that it stands in."""
    more: Expression | None = None
    """True or false. True without a cursor is a broken answer, not the end."""

    @model_validator(mode="after")
    def _one_place(self) -> "PagesByCursor":
        if (self.cursor is None) == (self.header is None):
            raise ValueError("must say where the cursor stands: write either cursor (a path) or header (a name)")
        return self


class PagesByLink(Table):
    """The address of the next page, whole or as a path; one on another host is refused."""

    kind: Literal["link"]
    next: Expression | None = None
    """Where it stands in the body. Without it: the header `Link` with rel="next" (RFC 8288)."""


class OnePage(Table):
    """All in one answer."""

    kind: Literal["none"] = "none"


Paging = Annotated[PagesByNumber | PagesByOffset | PagesByCursor | PagesByLink | OnePage, Field(discriminator="kind")]


class ListRequest(Request):
    """A request whose answer is a list, or a page of one."""

    placeholders = PAGING

    records: Expression
    """The list in the answer; `@` when the answer is the list itself."""
    paging: Paging = OnePage()
    page_size: int = Field(default=100, ge=2, le=10_000)
    """What `{page_size}` stands for: rows that a page holds at most."""

    @model_validator(mode="after")
    def _asks_for_pages(self) -> "ListRequest":
        wanted = {"page": "page", "offset": "offset", "cursor": "cursor"}.get(self.paging.kind)
        used = self.uses()
        if wanted and wanted not in used:
            raise ValueError(
                f'paging is by {wanted}, but no parameter has it; write for instance {wanted} = "{{{wanted}}}"'
            )
        for name in ("page", "offset", "cursor"):
            if name in used and name != wanted:
                raise ValueError(f"uses {{{name}}}, but paging.kind is {self.paging.kind!r}; write kind = {name!r}")
        if self.method not in ("GET", "POST"):
            raise ValueError("reads a list with a method that changes things; write GET, or POST for a search")
        return self


class BearerAuth(Table):
    kind: Literal["bearer"]
    token_env: SecretName


class BasicAuth(Table):
    kind: Literal["basic"]
    user_env: SecretName
    password_env: SecretName


class HeaderAuth(Table):
    kind: Literal["header"]
    name: str
    """Of the header, as `X-Portal-Key`."""
    value_env: SecretName
    prefix: str = Field(default="", pattern=r"^[\x20-\x7e]{0,50}$")
    """What stands before the secret, as `Token `."""

    @field_validator("name")
    @classmethod
    def _name(cls, name: str) -> str:
        return name if name.lower() == "authorization" else templates.check_header_name(name)


class ClientCredentialsAuth(Table):
    """OAuth 2.0 client credentials (RFC 6749, 4.4). The token is kept in memory and renewed in time."""

    kind: Literal["oauth2"]
    token_url: str = Field(pattern=r"^(/|https?://)\S+$")
    """Whole, or a path on the host of `base_url`."""
    client_id_env: SecretName
    client_secret_env: SecretName
    scope: str = ""
    params: dict[str, str] = Field(default_factory=dict)
    """More fields of the form, as `audience`."""
    send: Literal["basic", "body"] = "basic"
    """Where the client's id and secret go."""
    early_s: float = Field(default=60, ge=0)
    """Renewed so long before it runs out."""
    lifetime_s: float = Field(default=300, gt=0)
    """Where the answer does not say."""


Auth = Annotated[BearerAuth | BasicAuth | HeaderAuth | ClientCredentialsAuth, Field(discriminator="kind")]


class Limits(Table):
    requests_per_second: float | None = Field(default=None, gt=0)
    """Allowed on average, over all that this process asks of the channel."""
    burst: int = Field(default=1, ge=1)
    """Allowed at once after a rest."""
    one_at_a_time: bool = False
    """No two requests of this process at the same time."""
    retry_after_header: str = "Retry-After"
    retry_after_unit: Literal["seconds", "milliseconds", "epoch_s"] = "seconds"
    """Of a plain number in that header. A date is understood in `Retry-After` alone."""
    max_wait_s: float = Field(default=30, ge=0)
    """The longest that one call waits, all its waits together."""
    statuses: dict[int, Resolution] = Field(default_factory=dict)
    """HTTP status → what to do about it, where the channel's habit is not the usual one."""

    @field_validator("statuses")
    @classmethod
    def _of_errors(cls, statuses: dict[int, Resolution]) -> dict[int, Resolution]:
        for status in statuses:
            if not 300 <= status <= 599:
                raise ValueError(f"{status} is no status of an error; write one from 300 to 599")
        return statuses


class Switch(Table):
    """A switch for the whole channel."""

    kind: Literal["switch"]
    read: Request
    is_paused: Expression
    """True or false, in the answer of `read`."""
    stop: Request
    start: Request


class Zeros(Table):
    """No switch: every listing is set to zero. `resume` leaves the quantities to the ledger."""

    kind: Literal["zeros"] = "zeros"


Pause = Annotated[Switch | Zeros, Field(discriminator="kind")]


class Abilities(Table):
    """What cannot be concluded from the rest."""

    applies_later: bool = False
    """A write that was accepted becomes live some time after its answer."""
    revisions_per_day: int | None = Field(default=None, gt=0)
    """How often one listing may be written to on one day."""
    reads_singly: bool | None = None
    """Single orders cost little. Without it: true when there is `orders.single`."""


class Webhook(Table):
    """How the channel signs what it sends, and where the ids stand in it."""

    secret_envs: tuple[SecretName, ...] = Field(min_length=1)
    """All that are valid now: while a secret is rotated, the old and the new one."""
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    signature_header: str
    encoding: Literal["base64", "hex"] = "hex"
    prefix: str = ""
    """Stands before each signature, as `v1=`. Several signatures are separated by a comma or a space."""
    signed: str = "{body}"
    """What is signed: `{body}` once, and maybe `{timestamp}` and `{event_id}` with plain text between."""
    timestamp_header: str | None = None
    timestamp_format: Literal["epoch_s", "epoch_ms", "iso"] = "epoch_s"
    replay_window_s: float = Field(default=300, gt=0)
    """How old, or how far ahead, a signed time may be."""
    event_id_header: str | None = None
    event_id: Expression | None = None
    """In the body; without either, the hash of the body is the id."""
    topic_header: str | None = None
    topic: Expression | None = None
    order_ids: Expression | None = None
    """One id or a list of them."""
    listing_refs: Expression | None = None

    @field_validator("signed")
    @classmethod
    def _signed(cls, template: str) -> str:
        templates.check(template, ("body", "timestamp", "event_id"))
        if template.count("{body}") != 1:
            raise ValueError('must sign the body exactly once; write for instance "{timestamp}.{body}"')
        return template

    @model_validator(mode="after")
    def _complete(self) -> "Webhook":
        if ("{timestamp}" in self.signed) != (self.timestamp_header is not None):
            raise ValueError(
                "a time counts only when it is signed: write both timestamp_header and {timestamp} in signed"
            )
        if "{event_id}" in self.signed and self.event_id_header is None:
            raise ValueError("signs {event_id}, but there is no event_id_header; write its name")
        if self.order_ids is None and self.listing_refs is None:
            raise ValueError("names neither orders nor listings; write order_ids, listing_refs or both")
        return self
