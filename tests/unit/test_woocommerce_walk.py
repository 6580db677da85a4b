"""A list read by offset, while rows leave it and enter it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.channels.woocommerce.woocommerce_walk import Part, UnsettledError, walk


class Moving:
    """Rows are their own ids. Before each answer, `leave` of them drawn at random go."""

    def __init__(self, count: int, size: int, leaving: list[int], seed: int) -> None:
        self.rows = list(range(1, count + 1))
        self.size = size
        self.leaving = leaving
        self.random = random.Random(seed)
        self.calls = 0

    def fetch(self, offset: int) -> Part:
        for _ in range(self.leaving[self.calls] if self.calls < len(self.leaving) else 0):
            if self.rows:
                self.rows.remove(self.random.choice(self.rows))
        self.calls += 1
        return Part(self.rows[offset : offset + self.size], len(self.rows))


@given(
    count=st.integers(0, 120),
    size=st.integers(2, 20),
    leaving=st.lists(st.integers(0, 12), max_size=40),
    seed=st.integers(0, 1000),
)
def test_what_stays_is_read_whatever_leaves(count: int, size: int, leaving: list[int], seed: int) -> None:
    moving = Moving(count, size, leaving, seed)
    try:
        found = walk(moving.fetch, int, size)
    except UnsettledError:
        return  # Loud is allowed; silent loss is not.
    assert set(moving.rows) <= set(found)


@given(count=st.integers(0, 120), size=st.integers(2, 20))
def test_a_still_list_is_read_once_in_few_calls(count: int, size: int) -> None:
    moving = Moving(count, size, [], 0)
    assert walk(moving.fetch, int, size) == list(range(1, count + 1))
    assert moving.calls <= count // (size - max(1, size // 10)) + 1


def test_a_slowly_shrinking_list_never_gives_up() -> None:
    for seed in range(200):
        moving = Moving(1000, 100, [1] * 50, seed)
        found = set(walk(moving.fetch, int, 100))
        assert set(moving.rows) <= found


def test_a_page_that_comes_twice_is_asked_for_again() -> None:
    rows = list(range(1, 39))
    pages = iter([0, 0, 18, 18, 18])

    def fetch(offset: int) -> Part:
        # The second answer is the first page again, of the same length as what was asked for.
        start = 0 if next(pages) == 0 else offset
        return Part(rows[start : start + 20], len(rows))

    assert set(walk(fetch, int, 20)) == set(rows)


def test_a_page_that_always_comes_twice_is_no_end() -> None:
    with pytest.raises(UnsettledError):
        walk(lambda offset: Part(list(range(1, 21)), 38), int, 20)


def test_a_missing_page_is_no_end() -> None:
    with pytest.raises(UnsettledError, match="0 rows came where 20 were announced"):
        walk(lambda offset: Part([] if offset else list(range(1, 21)), 138), int, 20)


def test_another_order_than_asked_for_is_refused() -> None:
    with pytest.raises(UnsettledError, match="order"):
        walk(lambda offset: Part([3, 2, 1], 3), int, 20)


def test_a_row_that_enters_behind_us_is_found_by_the_count() -> None:
    rows = [*range(1, 10), *range(11, 41)]
    calls = 0

    def fetch(offset: int) -> Part:
        nonlocal calls
        calls += 1
        if calls == 2:
            rows.insert(9, 10)
        return Part(rows[offset : offset + 20], len(rows))

    assert set(walk(fetch, int, 20)) == set(range(1, 41))
