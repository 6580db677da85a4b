"""A declared channel's quantities: read them, set them, and say what became of each."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from adapters.channels.declared import declared_templates as templates
from adapters.channels.declared.declared_fields import Stock, StockWrite, WriteResult
from adapters.channels.declared.declared_lists import Lists
from adapters.channels.declared.declared_values import UntranslatableError, Value, whole
from adapters.channels.declared.declared_wire import Wire
from adapters.channels.protocol import Change, ChangeResult, ChangeStatus, Reading
from adapters.http import Answer, ChannelFault, Resolution

T = TypeVar("T")
_PLAIN = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


@dataclass(frozen=True, slots=True)
class Shown:
    """What the channel shows for one listing."""

    quantity: int
    tracked: bool
    version: Any = None


class StockDesk:
    def __init__(self, wire: Wire, stock: Stock) -> None:
        self._wire = wire
        self._lists = Lists(wire)
        self._read, self._write = stock.read, stock.write

    def read(self, listing_refs: Sequence[str]) -> list[Reading]:
        """The live quantities. Raises ChannelFault; MALFORMED for a quantity that is no whole number."""
        return [Reading(ref, one.quantity, one.tracked) for ref, one in self._shown(listing_refs).items()]

    def everything(self) -> dict[str, Shown]:
        """The whole list, where it is read so."""
        return self._of_rows(self._lists.rows(self._read, {}), None)

    def write(self, changes: Sequence[Change], key: str) -> list[ChangeResult]:
        """See `SetsStock`. With versions the listings are read first, and one that shows another quantity than
        the expected one is stale at once."""
        if len({change.listing_ref for change in changes}) != len(changes):
            raise ValueError("a listing comes twice in one set of changes")
        results: dict[str, ChangeResult] = {}
        versions: dict[str, Any] = {}
        if self._write.compare == "version":
            versions, results = self._versions(changes)
        sent = False
        stopped = ""
        waiting = [change for change in changes if change.listing_ref not in results]
        for number, part in enumerate(_chunks(waiting, self._write.batch)):
            if stopped:
                done = _all(part, ChangeStatus.REJECTED, stopped)
            else:
                try:
                    done = self._send(part, versions, key if len(waiting) <= self._write.batch else f"{key}-{number}")
                    sent = True
                except ChannelFault as fault:
                    if not sent:
                        raise
                    stopped = f"not sent: {fault.resolution}"
                    done = _all(part, ChangeStatus.REJECTED, stopped)
            results |= {one.listing_ref: one for one in done}
        return [results[change.listing_ref] for change in changes]

    def _shown(self, listing_refs: Iterable[str]) -> dict[str, Shown]:
        refs = list(dict.fromkeys(listing_refs))
        if not self._read.by_ref:
            everything = self.everything()
            return {ref: everything[ref] for ref in refs if ref in everything}
        shown: dict[str, Shown] = {}
        for part in _chunks([ref for ref in refs if self._askable(ref)], self._read.batch):
            shown |= self._ask(part)
        return shown

    def _askable(self, ref: str) -> bool:
        """A ref that cannot be put into the request is none of this channel's."""
        try:
            values = {**_NO_PAGE, "listing_ref": ref, "listing_refs": [ref]}
            templates.fill_path(self._read.path, values)
            templates.fill_headers(self._read.headers, values)
            templates.fill_params(self._read.params, values, lists=self._read.lists)
        except templates.UnsafeValueError:
            return False
        return True

    def _ask(self, refs: Sequence[str]) -> dict[str, Shown]:
        values = {"listing_refs": refs, "listing_ref": refs[0]}
        if "listing_refs" in self._read.uses():
            return self._of_rows(self._lists.rows(self._read, values), refs)
        try:
            answer = self._wire.ask(self._read, {**_NO_PAGE, **values}, writes=False)
        except ChannelFault as caught:
            fault = caught
        else:
            version = answer.headers.get(self._read.version_header.lower()) if self._read.version_header else None
            rows = self._lists.records(self._read, self._read.records, answer.body)
            found = self._of_rows(rows, refs)
            return {ref: Shown(one.quantity, one.tracked, version or one.version) for ref, one in found.items()}
        if fault.status in self._read.absent_statuses:
            return {}
        raise fault

    def _of_rows(self, rows: Iterable[Any], asked: Sequence[str] | None) -> dict[str, Shown]:
        found: dict[str, Shown] = {}
        for row in rows:
            try:
                ref, one = self._row(row)
            except UntranslatableError as error:
                reason = str(error)
            else:
                if asked is not None and ref not in asked:
                    self._malformed("rows that were not asked for")
                if found.get(ref, one) != one:
                    self._malformed("a listing comes twice with different numbers")
                found[ref] = one
                continue
            self._malformed(reason)
        return found

    def _row(self, row: Any) -> tuple[str, Shown]:
        fields = self._read.fields
        if not isinstance(row, Mapping):
            raise UntranslatableError("a row is no object")
        ref, tracked = fields.listing_ref.of(row), fields.tracked.of(row)
        if not isinstance(ref, str) or not ref:
            raise UntranslatableError(f"a row has no ref at {fields.listing_ref.place}")
        given = fields.quantity.of(row)
        quantity = whole(given)
        if given is None and tracked is not True:
            quantity = 0
        if quantity is None or abs(quantity) >= 2**31:
            raise UntranslatableError(f"the quantity at {fields.quantity.place} is no whole number of units")
        version = None if fields.version is None else fields.version.of(row)
        if isinstance(version, float | bool):
            raise UntranslatableError("a version is neither a text nor a whole number")
        return ref, Shown(quantity, tracked is True, version)

    def _versions(self, changes: Sequence[Change]) -> tuple[dict[str, Any], dict[str, ChangeResult]]:
        shown = self._shown(change.listing_ref for change in changes)
        results: dict[str, ChangeResult] = {}
        for change in changes:
            one, ref = shown.get(change.listing_ref), change.listing_ref
            if one is None:
                results[ref] = ChangeResult(ref, ChangeStatus.REJECTED, "the channel does not know the listing")
            elif one.version is None:
                results[ref] = ChangeResult(ref, ChangeStatus.REJECTED, "the channel shows no version")
            elif change.expected is not None and one.quantity != change.expected:
                results[ref] = ChangeResult(ref, ChangeStatus.STALE, "another quantity is live")
        return {ref: one.version for ref, one in shown.items()}, results

    def _send(self, changes: Sequence[Change], versions: Mapping[str, Any], key: str) -> list[ChangeResult]:
        """Raises ChannelFault when nothing of it was applied and the next call would fare no better."""
        rows = [
            {
                "listing_ref": change.listing_ref,
                "quantity": change.quantity,
                "expected": change.expected,
                "version": versions.get(change.listing_ref),
            }
            for change in changes
        ]
        values: dict[str, Any] = {"key": key, **rows[0]}
        values["rows"] = [templates.fill(self._write.row, row) for row in rows]
        result = self._write.result
        try:
            answer = self._wire.ask(self._write, values, writes=True)
        except ChannelFault as fault:
            meant = result.statuses.get(fault.status or 0)
            if meant is not None:
                return _all(changes, ChangeStatus(meant), str(fault))
            if fault.resolution in (Resolution.UNKNOWN, Resolution.MALFORMED):
                return _all(changes, ChangeStatus.UNKNOWN, str(fault))
            if fault.resolution is Resolution.REJECT:
                return _all(changes, ChangeStatus.REJECTED, str(fault))
            raise
        return judge_answer(self._write, changes, answer)

    def _malformed(self, what: str) -> NoReturn:
        label = f"{self._read.method} {self._read.path}"
        raise ChannelFault(self._wire.channel, Resolution.MALFORMED, f"{label}: {what}")


def judge_answer(write: StockWrite, changes: Sequence[Change], answer: Answer) -> list[ChangeResult]:
    """What a 2xx says of each row. A row that it does not name, or names unclearly, is unknown."""
    result = write.result
    meant = result.statuses.get(answer.status)
    if meant is not None:
        return _all(changes, ChangeStatus(meant), f"the channel answered {answer.status}")
    if result.records is None:
        return [_judge(result, change, answer.body) for change in changes]
    try:
        rows = result.records.of(answer.body)
    except UntranslatableError:
        rows = None
    if not isinstance(rows, list):
        return _all(changes, ChangeStatus.UNKNOWN, f"the answer has no rows at {result.records.text}")
    named: dict[Any, list[Any]] = {}
    for row in rows:
        named.setdefault(_field(result.listing_ref, row), []).append(row)
    results = []
    for change in changes:
        mine = named.get(change.listing_ref, [])
        if len(mine) == 1:
            results.append(_judge(result, change, mine[0]))
        else:
            how = "more than once" if mine else "not at all"
            results.append(ChangeResult(change.listing_ref, ChangeStatus.UNKNOWN, f"the answer names the row {how}"))
    return results


def _judge(result: WriteResult, change: Change, row: Any) -> ChangeResult:
    ref = change.listing_ref
    told = _field(result.reason, row)
    reason = told if isinstance(told, str) and _PLAIN.fullmatch(told) else ""
    if result.state is not None:
        state = _field(result.state, row)
        plain = state if isinstance(state, str) and _PLAIN.fullmatch(state) else "another state"
        for words, status in ((result.stale, ChangeStatus.STALE), (result.rejected, ChangeStatus.REJECTED)):
            if state in words:
                return ChangeResult(ref, status, reason or plain)
        if state not in result.done:
            return ChangeResult(ref, ChangeStatus.UNKNOWN, f"the answer says {plain}, which is not described")
    if result.quantity is not None:
        shown = whole(_field(result.quantity, row))
        if shown is None:
            return ChangeResult(ref, ChangeStatus.UNKNOWN, "the answer does not say the quantity")
        if shown != change.quantity:
            return ChangeResult(ref, ChangeStatus.REJECTED, reason or "the channel shows another number")
    return ChangeResult(ref, ChangeStatus.DONE)


def _field(value: Value | None, row: Any) -> Any:
    try:
        return None if value is None else value.of(row)
    except UntranslatableError:
        return None


def _all(changes: Sequence[Change], status: ChangeStatus, reason: str) -> list[ChangeResult]:
    return [ChangeResult(change.listing_ref, status, reason) for change in changes]


def _chunks(rows: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(rows), size):
        yield list(rows[start : start + size])


_NO_PAGE: dict[str, Any] = {"page": None, "offset": None, "cursor": None, "page_size": None}
