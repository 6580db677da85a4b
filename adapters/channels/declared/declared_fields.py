"""The tables of a declared channel that say what its answers mean: orders, stock, catalogue."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from adapters.channels.declared import declared_templates as templates
from adapters.channels.declared.declared_models import PAGING, ListRequest, Request
from adapters.channels.declared.declared_values import (
    DateFormat,
    Expression,
    Table,
    Value,
    check_date_format,
    check_zone,
    compile_path,
)
from inventory.words import ReversalKind, ReversalReason


def _made(kind: str) -> AfterValidator:
    return AfterValidator(lambda value: value.model_copy(update={"as_": kind}) if value.as_ == "same" else value)


def _of_words(words: type[ReversalKind] | type[ReversalReason]) -> AfterValidator:
    """What a value may become is one of our words, as far as that can be known beforehand."""

    def check(value: Value) -> Value:
        for word in [value.constant, value.otherwise, *value.words.values()]:
            if word is not None and word not in [one.value for one in words]:
                raise ValueError(f"{word!r} is none of our words; write one of {', '.join(words)}")
        return value

    return AfterValidator(check)


Text = Annotated[Value, _made("text")]
Whole = Annotated[Value, _made("integer")]
YesNo = Annotated[Value, _made("boolean")]
Moment = Annotated[Value, _made("datetime")]
Kind = Annotated[Value, _of_words(ReversalKind)]
Reason = Annotated[Value, _of_words(ReversalReason)]
OTHER = Value(constant=ReversalReason.OTHER.value)


class LineFields(Table):
    """Of one line of an order; paths count from the line."""

    line_id: Text
    listing_ref: Text
    """The channel's key of the thing sold, the same as in `stock`."""
    sku: Text | None = None
    quantity: Whole
    """Units ordered. One that the channel lowers itself when units are cancelled is understood too."""
    left: Whole | None = None
    """Units still ordered, where the channel says that beside `quantity`: what is missing was cancelled."""
    gone: Whole | None = None
    """Units cancelled, where the channel says that and no more; instead of `left`."""
    quantity_is: Literal["ordered", "left"] = "ordered"
    """`left`: `quantity` no longer has the units that are `gone`."""

    fulfilled: Whole | None = None
    """Units that have left so far, those included that were reversed afterwards."""

    @model_validator(mode="after")
    def _one_way(self) -> "LineFields":
        if self.left is not None and self.gone is not None:
            raise ValueError("has left and gone, which say the same; write one of them")
        if self.quantity_is == "left" and self.gone is None:
            raise ValueError('quantity_is = "left" needs gone, or the ordered units cannot be known; write gone')
        return self


class OrderFields(Table):
    """Of one order; paths count from the order. Nothing that is not named here is ever taken."""

    order_id: Text
    placed_at: Moment
    updated_at: Moment
    status: Text | None = None
    cancelled: YesNo | None = None
    """Where no status says it."""
    cancel_reason: Reason = OTHER
    cancel_restocked: YesNo | None = None
    """Whether the channel put cancelled units back on its own counter; these two serve `cancelled`."""
    test: YesNo = Value(constant=False)
    hold: Text | None = None
    """Key of the hold it asked for before it sold (`asks_first`)."""
    lines: Expression
    line: LineFields


class Closed(Table):
    """A status in which nothing of the order is sold any more: what is left of each line is reversed."""

    kind: ReversalKind = ReversalKind.CANCELLATION
    reason: Reason = OTHER
    restocked: YesNo | None = None
    """Whether the channel put the units back on its own counter. Without it: it does not tell."""


class Statuses(Table):
    """Every status that is not named here is a sale: unpaid ones and unknown ones hold stock too."""

    ignored: tuple[str, ...] = ()
    """No sale (yet): drafts, quotes. The order is left out."""
    closed: dict[str, Closed] = Field(default_factory=dict)
    known: tuple[str, ...] = ()
    """The sales among them; named so that a trial reading can tell an unknown one."""


class ReversalFields(Table):
    """Paths count from an object with `order`, `line` (with of = "line"), `reversal` and `item` (with `items`)."""

    reversal_id: Text
    """Stable: the same in every answer, different for each line."""
    line_id: Text
    quantity: Whole
    """A negative number means the same units."""
    kind: Kind
    reason: Reason = OTHER
    restocked: YesNo | None = None
    occurred_at: Moment


class Reversals(Table):
    """Cancellations, refunds and returns that the order lists."""

    of: Literal["order", "line"] = "order"
    records: Expression
    """The list; its path counts from the order, or from each line."""
    items: Expression | None = None
    """The lines of one reversal, where it has several; the path counts from the reversal."""
    fields: ReversalFields


class SingleOrders(Request):
    """Orders by id. With `{order_ids}` up to `batch` in one request, with `{order_id}` one."""

    placeholders = frozenset({"order_id", "order_ids"})

    records: Expression = compile_path("[@]")
    batch: int = Field(default=1, ge=1, le=1000)
    absent_statuses: tuple[int, ...] = (404, 410)
    """The channel does not know the order (yet)."""

    @model_validator(mode="after")
    def _ids(self) -> "SingleOrders":
        _by_one_or_many(self, "order_id", "order_ids", self.batch)
        return self


class Orders(ListRequest):
    """The list of orders that changed."""

    placeholders = PAGING | {"updated_since", "until"}

    date_format: DateFormat = "iso"
    """Of `{updated_since}` and `{until}`."""
    zone: str = "UTC"
    since_margin_s: float = Field(default=1, ge=0)
    """`{updated_since}` is so much earlier, for filters that leave the instant itself out."""
    until_ahead_s: float = Field(default=86_400, ge=-3600)
    """`{until}` is so much later than now. Negative where the channel refuses the present."""
    sort: Literal["oldest_change_first", "newest_change_first", "steady"]
    """How the list is sorted, which decides how pages are read without a loss; see the documentation."""
    whole_list: bool = False
    """There is no filter by change: every pull reads all."""
    fields: OrderFields
    statuses: Statuses = Statuses()
    reversals: Reversals | None = None
    single: SingleOrders | None = None
    recent_s: float = Field(default=86_400, gt=0)
    """Without `single`, single orders are looked for among those changed in this time."""

    _date = field_validator("date_format")(check_date_format)
    _zone = field_validator("zone")(check_zone)

    @model_validator(mode="after")
    def _filtered(self) -> "Orders":
        if "updated_since" not in self.uses() and not self.whole_list:
            raise ValueError(
                'asks for no change since a time; write a parameter with "{updated_since}", or whole_list = true'
            )
        if self.statuses != Statuses() and self.fields.status is None:
            raise ValueError("has statuses but no fields.status; write where the status stands")
        if self.sort == "newest_change_first" and self.paging.kind == "offset":
            raise ValueError('newest_change_first cannot be read by offset here; write paging.kind = "page"')
        return self


class StockFields(Table):
    listing_ref: Text
    quantity: Whole
    tracked: YesNo = Value(constant=True)
    """It counts stock for it, and refuses to sell below zero."""
    version: Value | None = None
    """Of the quantity, for `compare = "version"`."""


class StockRead(ListRequest):
    """Quantities by ref (`{listing_refs}` or `{listing_ref}`), or the whole list where neither is used."""

    placeholders = PAGING | {"listing_ref", "listing_refs"}

    batch: int = Field(default=1, ge=1, le=10_000)
    fields: StockFields
    version_header: str | None = None
    """The version is in this header, as `ETag`; one ref at a time then."""
    absent_statuses: tuple[int, ...] = (404,)
    """With `{listing_ref}`: the channel does not know it."""

    @property
    def by_ref(self) -> bool:
        return bool(self.uses() & {"listing_ref", "listing_refs"})

    @model_validator(mode="after")
    def _refs(self) -> "StockRead":
        if self.by_ref:
            _by_one_or_many(self, "listing_ref", "listing_refs", self.batch)
        if self.version_header and "listing_ref" not in self.uses():
            raise ValueError("version_header belongs to a read of one listing; use {listing_ref}")
        return self


class WriteResult(Table):
    """What became of each row."""

    records: Expression | None = None
    """The rows of the answer. Without it a 2xx says that everything was done."""
    listing_ref: Text | None = None
    """In a row of the answer."""
    state: Text | None = None
    done: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    """States: not applied, because the quantity (or its version) was another."""
    rejected: tuple[str, ...] = ()
    """States: not applied for another reason. A state that is named nowhere leaves the row unknown."""
    quantity: Whole | None = None
    """The quantity after the write; another one than was sent is a rejection."""
    reason: Text | None = None
    """A plain word of the channel; a sentence is not repeated."""
    statuses: dict[int, Literal["done", "stale", "rejected", "unknown"]] = Field(default_factory=dict)
    """HTTP status of the whole answer → what became of all its rows, as 412 = "stale"."""

    @model_validator(mode="after")
    def _judged(self) -> "WriteResult":
        if self.state is not None and not self.done:
            raise ValueError("has state but nothing that counts as done; write done = [...]")
        if self.state is None and (self.done or self.stale or self.rejected):
            raise ValueError("has words for a state but not where it stands; write state")
        if self.records is not None and self.listing_ref is None:
            raise ValueError("has rows but not which listing each is about; write listing_ref")
        return self


class StockWrite(Request):
    """Quantities to set. `{rows}` is a list of `row`, one for each change; with a batch of 1 the placeholders
    of a row can be used everywhere."""

    placeholders = frozenset({"rows", "key", "listing_ref", "quantity", "expected", "version"})

    method: Literal["POST", "PUT", "PATCH"] = "POST"
    row: dict[str, Any] | None = None
    batch: int = Field(default=1, ge=1, le=10_000)
    compare: Literal["none", "expected", "version"] = "none"
    """Compare-and-set by the expected quantity, or by a version that is read just before the write."""
    result: WriteResult = WriteResult()

    @field_validator("row")
    @classmethod
    def _row(cls, row: dict[str, Any] | None) -> dict[str, Any] | None:
        templates.check(row, cls.placeholders - {"rows", "key"})
        return row

    @model_validator(mode="after")
    def _says_all(self) -> "StockWrite":
        used = self.uses() | templates.names_in(self.row)
        if ("rows" in self.uses()) != (self.row is not None):
            raise ValueError("needs both or neither: {rows} in the body, and row with what one of them holds")
        if self.batch > 1 and self.row is None:
            raise ValueError("sends several at once but has no rows; write {rows} in the body, and row")
        outside = self.uses() & {"listing_ref", "quantity", "expected", "version"}
        if self.batch > 1 and outside:
            raise ValueError(f"{{{min(outside)}}} belongs into row when several are sent at once; or write batch = 1")
        if self.batch > 1 and self.result.records is None:
            raise ValueError(
                "sends several at once, so the answer must tell of each; write result.records, or batch = 1"
            )
        for name in ("listing_ref", "quantity"):
            if name not in used:
                raise ValueError(f"does not send the {name}; write {{{name}}} where it belongs")
        if self.compare != "none" and self.compare not in used:
            raise ValueError(
                f"compares by {self.compare} but does not send it; write {{{self.compare}}} where it belongs"
            )
        for name in {"expected", "version"} & used:
            if self.compare != name:
                raise ValueError(f"sends {{{name}}} but compare is {self.compare!r}; write compare = {name!r}")
        return self


class Stock(Table):
    read: StockRead
    write: StockWrite

    @model_validator(mode="after")
    def _versions(self) -> "Stock":
        versioned = self.read.version_header is not None or self.read.fields.version is not None
        if self.write.compare == "version" and not versioned:
            raise ValueError("compares by version, but read has none; write read.fields.version or read.version_header")
        return self


class CatalogueFields(Table):
    """What is not named is not told."""

    listing_ref: Text
    sku: Text
    title: Text = Value(constant="")
    quantity: Whole | None = None
    tracked: YesNo | None = None
    oversell_allowed: YesNo | None = None
    on_sale: YesNo | None = None
    stocked_here: YesNo | None = None
    fulfilled_by_channel: YesNo = Value(constant=False)


class Catalogue(ListRequest):
    fields: CatalogueFields


def _by_one_or_many(request: Request, one: str, many: str, batch: int) -> None:
    used = request.uses() & {one, many}
    if len(used) != 1:
        raise ValueError(f"must ask by {{{one}}} or by {{{many}}}; write one of them into path, params or body")
    if used == {one} and batch != 1:
        raise ValueError(f"asks for several at once with {{{one}}}; write {{{many}}}, or batch = 1")
