"""Valid samples of outside data made invalid, one step at a time: by structure first, by bytes last.

A mutation is three numbers, so that whatever makes them (a property test, a coverage-guided fuzzer, a loop) can shrink
them, and the same numbers make the same bytes.
"""

import csv
import io
import json
import tomllib
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any

import tomli_w

Move = tuple[int, int, int]
"""(how, where, what); each counts round its choices."""


class Kind(StrEnum):
    JSON = "json"
    TOML = "toml"
    CSV = "csv"
    XML = "xml"
    TEXT = "text"


BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d SYSTEM "file:///etc/hostname">]>'
)


CONTAINERS = (
    "[]", "{}", "[null]", '{"junk": 1}', "[[1, 2], [3]]",
    *('{"id": [' * depth + "1" + "]}" * depth for depth in (70, 450)),
)  # fmt: skip
"""As text, so that each is made anew where it is put."""
JUNK: Sequence[Any] = (
    None, -1, 0, True, False, 7.5, 1e308, float("nan"), float("inf"), 10**6, 10**18, 10**30, -(10**30), "", " ", "0",
    "-3", "junk", "NaN", "9E999999", "1" * 400, "x" * 5000, "\x00", "\ud800", "\u202e\ufeff", "٣", "²", "a\nb\x1b[2J",
    "=1+1", "../../etc/passwd", "<!channel>", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-13-45",
    "Fri, 31 Dec 9999 23:59:59 -2359", "gid://shopify/Order/" + "9" * 30,
)  # fmt: skip
"""What stands where something else belongs."""

CELLS = (
    *("" if one is None else str(one) for one in JUNK),
    'a"b', '"', "a,b", "a;b", "a\tb", "1,000", "1.0", "+1", "'1", "x" * 140_000,
)  # fmt: skip

BYTES: Sequence[bytes] = (
    b"", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\x1f\x8b\x08\x00", b"\r", b"\n", b"\r\n", b'"', b"'",
    b",", b";",
    b"\t", b"=", b"[", b"]", b"{", b"}", b"<", b"</", b"&", b"&#0;", b"&#xD800;",
    BOMB, b"<![CDATA[", b"<!--", b"%", b"\\",
    b"[" * 3000, b"<a>" * 3000, b"a." * 3000 + b"a = 1\n", b'<?xml version="1.0" encoding="nope"?>',
    b'<?xml version="1.0" encoding="utf-7"?>', b"9" * 5000, b"-", b"e", b"1e999", b"\xed\xa0\x80", "İ".encode(),
)  # fmt: skip
"""What is put in somewhere."""


def mutated(sample: bytes, kind: Kind, moves: Sequence[Move]) -> bytes:
    """The sample after the moves. Those on the structure come first: bytes that do not fit have none."""
    structural = [move for move in moves if move[0] % 8 < 6]
    made = _TREES[kind](sample, structural) if structural else sample
    for how, where, what in moves:
        if how % 8 >= 6:
            made = _bytewise(made, where, what)
    return made


def _bytewise(content: bytes, where: int, what: int) -> bytes:
    place = where % (len(content) + 1)
    inserted = BYTES[what % len(BYTES)]
    match what // len(BYTES) % 6:
        case 0:
            return content[:place] + inserted + content[place:]
        case 1:
            return content[:place]
        case 2:
            return content[:place] + inserted + content[place + max(1, len(inserted)) :]
        case 3:
            return content.decode("utf-8", "replace").encode("utf-16")
        case 4:
            return content[:place] + content[place // 2 :]
        case _:
            return inserted + content


def _junk(what: int, plain: Sequence[Any] = JUNK) -> Any:
    place = what % (len(plain) + len(CONTAINERS))
    return plain[place] if place < len(plain) else json.loads(CONTAINERS[place - len(plain)])


def _in_tree(document: Any, moves: Sequence[Move], plain: Sequence[Any] = JUNK) -> Any:
    root = {"": document}
    for how, where, what in moves:
        spots = list(_spots(root))
        holder, key = spots[where % len(spots)]
        value = holder[key]
        match how % 6:
            case 0 if holder is not root:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.extend([value] * (what % 5))
            case 1 if isinstance(key, str) and holder is not root:
                holder[key.swapcase()] = holder.pop(key)
            case 2:
                holder[key] = [value]
            case 3:
                holder[key] = value[: what % (len(value) + 1)] if isinstance(value, str | list) else str(value)
            case _:
                holder[key] = _junk(what, plain)
    return root[""]


def _spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a value, from the top; what a move has put in is not gone into when it is deep."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        for key, inner in list(found.items()) if isinstance(found, dict) else enumerate(found):
            yield found, key
            if isinstance(inner, dict | list) and len(inner) < 100 and len(waiting) < 50:
                waiting.append(inner)


def _json(sample: bytes, moves: Sequence[Move]) -> bytes:
    document = _in_tree(json.loads(sample), moves)
    try:
        return json.dumps(document, ensure_ascii=bool(moves[0][2] % 2)).encode("utf-8", "surrogatepass")
    except RecursionError:
        return b"[" * 3000


_TOML_JUNK = [one for one in JUNK if one not in (None, "\ud800")]


def _toml(sample: bytes, moves: Sequence[Move]) -> bytes:
    document = _in_tree(tomllib.loads(sample.decode()), moves, _TOML_JUNK)
    try:
        return tomli_w.dumps(document if isinstance(document, dict) else {"channel": document}).encode()
    except (TypeError, RecursionError):
        # TOML has no nothing, and its writer no patience.
        return b"a = " + b"[" * 3000


def _csv(sample: bytes, moves: Sequence[Move]) -> bytes:
    rows = list(csv.reader(io.StringIO(sample.decode(), newline="")))
    for how, where, what in moves:
        row = rows[where % len(rows)]
        column = where // len(rows) % max(1, len(row))
        match how % 6:
            case 0:
                del row[column : column + 1]
            case 1:
                rows += [list(row) for _ in range(what % 5)]
            case 2:
                row.insert(column, CELLS[what % len(CELLS)])
            case 3:
                rows.reverse()
            case _:
                row[column : column + 1] = [CELLS[what % len(CELLS)]]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=("\n", "\r\n", "\r")[moves[0][2] % 3], delimiter=",;\t"[moves[0][1] % 3])
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


def _pieces(mark: bytes) -> Callable[[bytes, Sequence[Move]], bytes]:
    """By the pieces between marks: dropped, doubled, put elsewhere, replaced."""

    def made(sample: bytes, moves: Sequence[Move]) -> bytes:
        parts = sample.split(mark)
        for how, where, what in moves:
            place = where % len(parts)
            match how % 6:
                case 0:
                    del parts[place]
                case 1:
                    parts[place:place] = parts[place : place + 1 + what % 4] * (1 + what % 7)
                case 2:
                    parts.insert(what % len(parts), parts.pop(place))
                case _:
                    parts[place] = CELLS[what % len(CELLS)].encode("utf-8", "surrogatepass")
            parts = parts[:3000] or [b""]
        return mark.join(parts)

    return made


_TREES: dict[Kind, Callable[[bytes, Sequence[Move]], bytes]] = {
    Kind.JSON: _json,
    Kind.TOML: _toml,
    Kind.CSV: _csv,
    Kind.XML: _pieces(b"<"),
    Kind.TEXT: _pieces(b","),
}
