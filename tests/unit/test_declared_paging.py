"""Pages of every kind, read to the end: none lost at a border while orders change, nothing strange is the end."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from declared_stage import NOW, Clock, opened, order
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.http import ChannelFault, Resolution

SIZE = 10


class Server:
    """Orders that change: number → when. The list is made anew for each request, as a database does it."""

    def __init__(self, count: int, sort: str = "oldest_change_first") -> None:
        self.changed = {number: number for number in range(1, count + 1)}
        self.sort = sort
        self.calls = 0
        self.latest = count
        self.repeats: set[int] = set()
        self.size = SIZE
        self._last: dict[str, Any] = {}
        self.between: Any = lambda call: None

    def touch(self, number: int) -> None:
        self.latest += 1
        self.changed[number] = self.latest

    def rows(self) -> list[tuple[int, int]]:
        if self.sort == "steady":
            return sorted(self.changed.items())
        in_order = sorted(self.changed.items(), key=lambda pair: (pair[1], pair[0]))
        return in_order[::-1] if self.sort == "newest_change_first" else in_order

    def page(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        assert self.calls < 400, "it goes on for ever"
        self.between(self.calls)
        if self.calls in self.repeats:
            return httpx.Response(200, **self._last)
        self._last = self._answer(request)
        return httpx.Response(200, **self._last)

    def _answer(self, request: httpx.Request) -> dict[str, Any]:
        query, rows = request.url.params, self.rows()
        headers: dict[str, str] = {}
        body: dict[str, Any] = {"total": len(rows)}
        if "after" in query or "cursor" in request.url.path or query.get("by") == "cursor":
            after = int(query.get("after", 0))
            rows = [row for row in rows if row[1] > after]
            page, more = rows[: self.size], len(rows) > self.size
            body["next"] = str(page[-1][1]) if more else None
            body["link"] = f"/api/orders?by=cursor&after={page[-1][1]}" if more else None
            if more:
                headers["link"] = f'</x>; rel="prev", <https://shop.test{body["link"]}>; rel="next"'
                headers["x-next"] = body["next"]
        else:
            start = int(query.get("offset", (int(query.get("page", 1)) - 1) * self.size))
            page, more = rows[start : start + self.size], len(rows) > start + self.size
        body |= {"orders": [order(number, changed) for number, changed in page], "more": more}
        return {"json": body, "headers": headers}


PAGINGS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "page, total": ({"kind": "page", "total": "total"}, {"page": "{page}"}),
    "page, more": ({"kind": "page", "more": "more"}, {"page": "{page}"}),
    "page, empty": ({"kind": "page"}, {"page": "{page}"}),
    "page, short": ({"kind": "page", "end": "short_page"}, {"page": "{page}"}),
    "offset, total": ({"kind": "offset", "total": "total"}, {"offset": "{offset}"}),
    "offset, more": ({"kind": "offset", "more": "more"}, {"offset": "{offset}"}),
    "offset, empty": ({"kind": "offset"}, {"offset": "{offset}"}),
    "cursor": ({"kind": "cursor", "cursor": "next"}, {"after": "{cursor}", "by": "cursor"}),
    "cursor, more": ({"kind": "cursor", "cursor": "next", "more": "more"}, {"after": "{cursor}", "by": "cursor"}),
    "cursor, header": ({"kind": "cursor", "header": "X-Next"}, {"after": "{cursor}", "by": "cursor"}),
    "link": ({"kind": "link"}, {"by": "cursor"}),
    "link, body": ({"kind": "link", "next": "link"}, {"by": "cursor"}),
}
COUNTED = [name for name in PAGINGS if name.startswith(("page", "offset"))]


def pull(server: Server, paging: str, sort: str | None = None, clock: Clock | None = None) -> list[str]:
    kind, params = PAGINGS[paging]
    described = {
        "paging": kind,
        "params": {"since": "{updated_since}", **params},
        "sort": sort or server.sort,
    }
    channel = opened(server.page, clock, orders=described)
    try:
        pages = list(channel.pull_orders(NOW))
        assert not [defect for page in pages for defect in page.defects]
        return [one["order_id"] for page in pages for one in page.orders]
    finally:
        channel.close()


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 34])
@pytest.mark.parametrize("paging", PAGINGS)
def test_every_row_of_every_page(paging: str, count: int) -> None:
    assert pull(Server(count), paging) == [str(number) for number in range(1, count + 1)]


@pytest.mark.parametrize("paging", [name for name in COUNTED if name != "page, short"])
def test_a_server_that_gives_fewer_than_were_asked_for_loses_nothing(paging: str) -> None:
    server = Server(23)
    server.size = 4
    assert len(pull(server, paging)) == 23


@pytest.mark.parametrize("sort", ["oldest_change_first", "newest_change_first", "steady"])
@pytest.mark.parametrize("paging", PAGINGS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.lists(st.integers(1, 36), max_size=3), max_size=12), count=st.integers(1, 36))
def test_nothing_is_lost_while_orders_change(paging: str, sort: str, changes: list[list[int]], count: int) -> None:
    counted = paging.startswith("page") or (paging.startswith("offset") and sort == "steady")
    if sort != "oldest_change_first" and not counted:
        return
    server = Server(count, sort)

    def between(call: int) -> None:
        for number in changes[call - 1] if call <= len(changes) else ():
            if number in server.changed:
                server.touch(number)

    server.between = between
    assert set(pull(server, paging)) == {str(number) for number in range(1, count + 1)}


@pytest.mark.parametrize("paging", PAGINGS)
@pytest.mark.parametrize("at", range(2, 9))
def test_a_page_that_comes_twice_costs_nothing(paging: str, at: int) -> None:
    server = Server(34)
    server.repeats = {at}
    assert len(pull(server, paging)) == 34


@pytest.mark.parametrize("paging", [name for name in PAGINGS if name.startswith("page")])
@pytest.mark.parametrize("at", range(2, 9))
def test_a_page_that_comes_twice_does_not_hide_what_came_to_the_front(paging: str, at: int) -> None:
    server = Server(34, "newest_change_first")
    server.repeats = {at}
    server.between = lambda call: server.touch(1) if call == 3 else None
    assert len(pull(server, paging)) == 34


@pytest.mark.parametrize("paging", PAGINGS)
def test_a_page_that_comes_for_ever_is_a_fault(paging: str) -> None:
    server = Server(34)
    server.repeats = set(range(2, 400))
    with pytest.raises(ChannelFault) as caught:
        pull(server, paging)
    assert caught.value.resolution is Resolution.MALFORMED


def test_a_list_that_never_rests_is_a_passing_fault() -> None:
    server = Server(60)

    def everything_changes(call: int) -> None:
        for number in range(1, 61):
            server.touch(number)

    server.between = everything_changes
    for paging in ("page, total", "offset, total"):
        server.calls = 0
        with pytest.raises(ChannelFault) as caught:
            pull(server, paging)
        assert caught.value.resolution is Resolution.RETRY


@pytest.mark.parametrize(
    ("paging", "body"),
    [
        ("page, total", {"orders": []}),
        ("page, total", {"orders": [], "total": "9"}),
        ("page, total", {"orders": [], "total": -1}),
        ("page, total", {"orders": [], "total": 9}),
        ("page, more", {"orders": []}),
        ("page, more", {"orders": [], "more": True}),
        ("page, more", {"orders": [], "more": "no"}),
        ("offset, more", {"orders": [order(1)], "more": True}),
        ("cursor", {"orders": [], "next": {"a": 1}}),
        ("cursor", {"orders": [], "next": "x" * 5000}),
        ("cursor", {"orders": [], "next": True}),
        ("cursor, more", {"orders": [order(1)], "more": True, "next": None}),
        ("cursor", {"next": None}),
        ("cursor", {"orders": None}),
        ("cursor", {"orders": {"0": order(1)}}),
        ("cursor", []),
        ("cursor", None),
        ("link, body", {"orders": [], "link": 7}),
        ("link, body", {"orders": [order(1)], "link": "https://evil.test/orders"}),
        ("link, body", {"orders": [order(1)], "link": "//evil.test/orders"}),
        ("link, body", {"orders": [order(1)], "link": "http://shop.test/orders"}),
        ("link, body", {"orders": [order(1)], "link": "https://shop.test:8443/orders"}),
        ("link, body", {"orders": [order(1)], "link": "https://shop.test\\@evil.test/"}),
        ("link, body", {"orders": [order(1)], "link": "file:///etc/passwd"}),
        ("link, body", {"orders": [order(1)], "link": "/orders\r\nX: 1"}),
    ],
)
def test_a_strange_page_is_never_the_end(paging: str, body: Any) -> None:
    kind, params = PAGINGS[paging]
    asked: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=body)

    channel = opened(respond, orders={"paging": kind, "params": {"since": "{updated_since}", **params}})
    with pytest.raises(ChannelFault) as caught:
        channel.pull_orders(NOW)
    assert caught.value.resolution is Resolution.MALFORMED
    assert {request.url.host for request in asked} == {"shop.test"}


def test_what_leaves_a_window_that_ends_now_is_fetched_by_another_pass() -> None:
    """The filter is by seconds of `changed`; an order that changes while pages are read has left the window."""
    server = Server(34)
    now = [100]
    instant = datetime(2026, 11, 20, 11, tzinfo=UTC)

    def respond(request: httpx.Request) -> httpx.Response:
        if server.calls in (1, 2):
            server.touch(30)
            server.changed[30] = now[0] + 50
        since, until = int(request.url.params["from"]), int(request.url.params["to"])
        everything, server.changed = (
            server.changed,
            {number: changed for number, changed in server.changed.items() if since <= base + changed <= until},
        )
        answer = server.page(request)
        server.changed = everything
        return answer

    kind, params = PAGINGS["cursor"]
    described = {
        "paging": kind,
        "params": {"from": "{updated_since}", "to": "{until}", **params},
        "sort": "oldest_change_first",
        "date_format": "epoch_s",
        "until_ahead_s": 0,
    }
    base = int(instant.timestamp())
    moments = iter(
        [instant + timedelta(seconds=100), instant + timedelta(seconds=200), instant + timedelta(seconds=300)]
    )
    channel = opened(respond, orders=described)
    channel._now = lambda: next(moments)
    found = {one["order_id"] for page in channel.pull_orders(instant) for one in page.orders}
    assert found == {str(number) for number in range(1, 35)}


def test_dates_are_written_as_the_channel_wants_them() -> None:
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["since"])
        return httpx.Response(200, json={"orders": []})

    pattern = ("%d.%m.%Y %H:%M:%S", "Europe/Berlin")
    for date_format, zone in [("iso", "UTC"), ("epoch_s", "UTC"), ("epoch_ms", "UTC"), pattern]:
        opened(respond, orders={"date_format": date_format, "zone": zone}).pull_orders(NOW)
    assert asked == ["2026-11-20T11:59:59.000Z", "1795175999", "1795175999000", "20.11.2026 12:59:59"]
    with pytest.raises(ValueError, match="needs an offset"):
        opened(respond).pull_orders(NOW.replace(tzinfo=None))
