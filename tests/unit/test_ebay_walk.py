"""The walk over a list whose rows move: nothing is lost, and what does not add up never looks like the end."""

import random

import pytest

from adapters.channels.ebay.ebay_trading import texts
from adapters.channels.ebay.ebay_walk import Part, UnsettledError, walk


class Listed:
    """Rows (id, version). Each call may move some to the end, with a new version."""

    def __init__(self, count: int, seed: int, moves: int) -> None:
        self.rows = [(number, 0) for number in range(count)]
        self.chance = random.Random(seed)
        self.moves = moves
        self.moved: set[int] = set()

    def fetch(self, offset: int, size: int) -> Part:
        if self.moves and self.rows:
            for _ in range(self.chance.randrange(3)):
                self.moves -= 1
                number, version = self.rows.pop(self.chance.randrange(len(self.rows)))
                self.rows.append((number, version + 1))
                self.moved.add(number)
        return Part(self.rows[offset : offset + size], offset, len(self.rows))


@pytest.mark.parametrize("seed", range(150))
def test_every_row_is_read_whatever_moves_to_the_end(seed: int) -> None:
    chance = random.Random(seed)
    size, count = chance.choice([2, 3, 7, 20, 50]), chance.randrange(0, 90)
    listed = Listed(count, seed, moves=chance.choice([0, 3, 8]))
    try:
        walked = walk(lambda offset: listed.fetch(offset, size), lambda row: row, size)
    except UnsettledError:
        assert size < 7 and listed.moved, "only tiny pages cannot keep up"
        return
    assert {number for number, _ in walked.rows} == set(range(count))


def test_one_page_is_one_call() -> None:
    assert walk(lambda offset: Part([1, 2, 3], 0, 3), lambda row: row, 20).calls == 1
    assert walk(lambda offset: Part([], 0, 0), lambda row: row, 20).rows == []


@pytest.mark.parametrize(
    "page",
    [Part([1, 2], 0, 5), Part([1, 2, 3], 7, 3), Part([], 0, 9), Part([1, 2, 3, 4], 0, 2), Part([1, 2, 3], 0, 10**20)],
)
def test_what_does_not_add_up_is_given_up(page: Part) -> None:
    calls: list[int] = []

    def fetch(offset: int) -> Part:
        calls.append(offset)
        return page

    with pytest.raises(UnsettledError):
        walk(fetch, lambda row: row, 3)
    assert len(calls) < 20


def test_xml_with_a_document_type_is_refused() -> None:
    assert texts(b"<a xmlns='urn:x'><b>one</b><c/><b> two </b></a>")["b"] == ["one", "two"]
    bomb = b'<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    for content in (bomb, bomb.decode().encode("utf-16"), b"", b"<a>", b"<a>&b;</a>", b"plain"):
        with pytest.raises(Exception, match=r"document type|no element|unclosed|undefined|syntax"):
            texts(content)
