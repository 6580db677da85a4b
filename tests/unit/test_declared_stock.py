"""A declared channel's quantities: by ref, singly or as a whole list; written singly, in rows, by version or ETag."""

import json
from typing import Any

import httpx
import pytest
from declared_stage import Respond, opened

from adapters.channels.protocol import Change
from adapters.http import ChannelFault, Resolution

ROWS = {
    "path": "/stock",
    "method": "POST",
    "body": {"updates": "{rows}"},
    "row": {"ref": "{listing_ref}", "units": "{quantity}"},
    "batch": 3,
    "result": {
        "records": "results",
        "listing_ref": "ref",
        "state": "state",
        "done": ["ok"],
        "stale": ["changed"],
        "rejected": ["no"],
        "reason": "why",
    },
}
ETAG: dict[str, Any] = {
    "stock_read": {
        "path": "/stock/{listing_ref}",
        "params": {},
        "batch": 1,
        "records": "[@]",
        "version_header": "ETag",
    },
    "stock_write": {
        "headers": {"If-Match": "{version}"},
        "compare": "version",
        "result": {"statuses": {412: "stale", 404: "rejected"}},
    },
}


def written(answer: httpx.Response | Respond, *changes: Change, **described: Any) -> list[tuple[str, str]]:
    respond = answer if callable(answer) else lambda request: answer
    results = opened(respond, stock_write=described or ROWS).set_quantities(changes, "key")
    assert [one.listing_ref for one in results] == [one.listing_ref for one in changes]
    return [(one.status.value, one.reason) for one in results]


def rows(*refs: str) -> list[Change]:
    return [Change(ref, 5, None) for ref in refs]


def answer(*results: Any) -> httpx.Response:
    return httpx.Response(200, json={"results": list(results)})


def test_each_row_is_judged_by_itself() -> None:
    told = answer(
        {"ref": "C", "state": "no", "why": "not_found"},
        {"ref": "A", "state": "ok"},
        {"ref": "B", "state": "changed", "why": "Mrs Wilhelmina bought it"},
    )
    assert written(told, *rows("A", "B", "C")) == [("done", ""), ("stale", "changed"), ("rejected", "not_found")]


@pytest.mark.parametrize(
    "told",
    [
        answer(),
        answer({"ref": "B", "state": "ok"}),
        answer({"ref": "A", "state": "ok"}, {"ref": "A", "state": "no"}),
        answer({"ref": "A", "state": "queued"}),
        answer({"ref": "A", "state": None}),
        answer({"ref": "A", "state": ["ok"]}),
        answer({"state": "ok"}),
        answer("A", None, 5),
        httpx.Response(200, json={}),
        httpx.Response(200, json={"results": {"A": "ok"}}),
        httpx.Response(200, json=None),
        httpx.Response(200, content=b'{"results": [{"ref": "A", "sta'),
        httpx.Response(200, text="<html>"),
        httpx.Response(500),
        httpx.Response(502, json={"results": [{"ref": "A", "state": "ok"}]}),
    ],
)
def test_a_row_that_is_not_clearly_told_of_is_unknown(told: httpx.Response) -> None:
    ((status, reason),) = written(told, *rows("A"))
    assert (status, bool(reason)) == ("unknown", True)


def test_a_quantity_that_is_told_must_be_the_one_that_was_sent() -> None:
    result = {**ROWS["result"], "quantity": "units"}  # type: ignore[dict-item]
    for units, status in ((5, "done"), ("5", "done"), (4, "rejected"), (None, "unknown"), (10**40, "rejected")):
        told = answer({"ref": "A", "state": "ok", "units": units})
        assert written(told, *rows("A"), **{**ROWS, "result": result})[0][0] == status


def test_more_than_a_batch_goes_in_several_and_stops_at_a_refusal() -> None:
    sent: list[list[str]] = []

    def respond(request: httpx.Request) -> httpx.Response:
        refs = [one["ref"] for one in json.loads(request.content)["updates"]]
        sent.append(refs)
        if len(sent) == 2:
            return httpx.Response(401)
        return answer(*[{"ref": ref, "state": "ok"} for ref in refs])

    found = written(respond, *rows("A", "B", "C", "D", "E", "F", "G"))
    assert found == [("done", "")] * 3 + [("rejected", "not sent: reauthenticate")] * 4
    assert sent == [["A", "B", "C"], ["D", "E", "F"]]


@pytest.mark.parametrize("status", [401, 429])
def test_when_certainly_nothing_was_applied_it_raises(status: int) -> None:
    with pytest.raises(ChannelFault):
        written(httpx.Response(status, headers={"Retry-After": "900"}), *rows("A"))


def test_a_refusal_is_a_rejection_and_a_listing_twice_is_nonsense() -> None:
    assert written(httpx.Response(422, json={"code": "TOO_MANY"}), *rows("A"))[0][0] == "rejected"
    with pytest.raises(ValueError, match="twice"):
        written(answer(), *rows("A", "A"))


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_without_rows_a_2xx_is_done(status: int) -> None:
    told = httpx.Response(status) if status in (202, 204) else httpx.Response(status, json={})
    sent: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return told

    plain = {"path": "/stock/{listing_ref}", "method": "PUT", "body": {"units": "{quantity}", "as": "n={quantity}"}}
    assert written(respond, Change("A/1", 5, None), **plain) == [("done", "")]
    assert sent[0].url.raw_path == b"/api/stock/A%2F1"
    assert sent[0].content == b'{"units":5,"as":"n=5"}'


def etag_server(live: dict[str, int], sent: list[httpx.Request], changes_before_write: bool = False) -> Respond:
    versions = dict.fromkeys(live, 1)

    def respond(request: httpx.Request) -> httpx.Response:
        ref = request.url.path.rpartition("/")[2]
        if ref not in live:
            return httpx.Response(404)
        if request.method == "GET":
            tag = {"ETag": f'"{versions[ref]}"'}
            if changes_before_write:
                versions[ref] += 1
            return httpx.Response(200, json={"ref": ref, "units": live[ref]}, headers=tag)
        sent.append(request)
        if request.headers["if-match"] != f'"{versions[ref]}"':
            return httpx.Response(412)
        live[ref], versions[ref] = 5, versions[ref] + 1
        return httpx.Response(204)

    return respond


def test_by_etag() -> None:
    live, sent = {"A": 9, "B": 7}, list[httpx.Request]()
    channel = opened(etag_server(live, sent), **ETAG)
    assert channel.capabilities.compare_and_set
    changes = [Change("A", 5, 9), Change("B", 5, 8), Change("C", 5, 1)]
    results = channel.set_quantities(changes, "key")
    assert [one.status.value for one in results] == ["done", "stale", "rejected"]
    assert (live, len(sent)) == ({"A": 5, "B": 7}, 1)
    late = opened(etag_server(live, sent, changes_before_write=True), **ETAG)
    assert [one.status.value for one in late.set_quantities([Change("B", 5, 7)], "key")] == ["stale"]
    assert live["B"] == 7
    assert [one.status.value for one in channel.set_quantities([Change("B", 5, None)], "key")] == ["done"]


def read(told: Any, refs: list[str], **described: Any) -> list[tuple[str, int, bool]]:
    respond = told if callable(told) else lambda request: httpx.Response(200, json=told)
    readings = opened(respond, stock_read=described).read_quantities(refs)
    return [(one.listing_ref, one.quantity, one.tracked) for one in readings]


def test_quantities_by_ref_and_as_a_whole_list() -> None:
    told = {"stock": [{"ref": "A", "units": 3}, {"ref": "B", "units": "4.0"}]}
    assert read(told, ["A", "B", "C"]) == [("A", 3, True), ("B", 4, True)]
    whole_list = {"params": {}, "batch": 1}
    assert read(told, ["B", "C"], **whole_list) == [("B", 4, True)]
    fields = {"listing_ref": "ref", "quantity": "units", "tracked": "counted"}
    loose = {"stock": [{"ref": "A", "units": None, "counted": False}]}
    assert read(loose, ["A"], fields=fields) == [("A", 0, False)]
    catalogue = opened(lambda request: httpx.Response(200, json=told), stock_read=whole_list).read_catalogue()
    assert [entry.listing_ref for page in catalogue for entry in page.entries] == ["A", "B"]
    with pytest.raises(ChannelFault, match="its description has no catalogue"):
        list(opened(lambda request: httpx.Response(200, json=told)).read_catalogue())


def test_refs_go_in_batches_and_one_that_cannot_be_asked_for_is_not_theirs() -> None:
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.extend(request.url.params.get_list("refs"))
        refs = [ref for one in request.url.params.get_list("refs") for ref in one.split(",")]
        return httpx.Response(200, json={"stock": [{"ref": ref, "units": 1} for ref in refs]})

    refs = ["A", "B", "A", "C", "D,E"]
    assert [ref for ref, _, _ in read(respond, refs, batch=2)] == ["A", "B", "C"]
    assert asked == ["A,B", "C"]
    asked.clear()
    read(respond, ["A", "B"], batch=2, lists="repeat")
    assert asked == ["A", "B"]


@pytest.mark.parametrize(
    "told",
    [
        {},
        [],
        None,
        {"stock": None},
        {"stock": [5]},
        {"stock": [{"units": 1}]},
        {"stock": [{"ref": "A"}]},
        {"stock": [{"ref": "A", "units": "many"}]},
        {"stock": [{"ref": "A", "units": 1.5}]},
        {"stock": [{"ref": "A", "units": True}]},
        {"stock": [{"ref": "A", "units": 10**30}]},
        {"stock": [{"ref": "A", "units": {"n": 1}}]},
        {"stock": [{"ref": ["A"], "units": 1}]},
        {"stock": [{"ref": "A", "units": 1}, {"ref": "A", "units": 2}]},
        {"stock": [{"ref": "Z", "units": 1}]},
    ],
)
def test_a_strange_answer_is_no_reading(told: Any) -> None:
    with pytest.raises(ChannelFault) as caught:
        read(told, ["A"])
    assert caught.value.resolution is Resolution.MALFORMED


def test_a_pause_by_zeros_goes_on_until_all_show_zero_and_says_when_they_do_not() -> None:
    live = {"A": 3, "B": 0, "C": 5}
    stuck: set[str] = set()
    put_back = {"C": 1}

    def respond(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            refs = request.url.params["refs"].split(",")
            return httpx.Response(200, json={"stock": [{"ref": ref, "units": live[ref]} for ref in refs]})
        ref = request.url.path.rpartition("/")[2]
        live[ref] = live[ref] if ref in stuck else put_back.pop(ref, 0)
        return httpx.Response(204)

    channel = opened(respond)
    assert channel.pause(["A", "B", "C"]) == {"kind": "zeros"}
    assert live == {"A": 0, "B": 0, "C": 0}
    live["A"] = 2
    stuck.add("A")
    with pytest.raises(ChannelFault, match="1 listings do not go to zero"):
        channel.pause(["A", "B", "C"])
    channel.resume({"kind": "zeros"})


def test_a_switch_whose_answer_is_lost_is_looked_at() -> None:
    paused = [False]
    apply = [True]

    def respond(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"open": not paused[0]})
        if apply[0]:
            paused[0] = not paused[0]
        return httpx.Response(500)

    switch = {
        "kind": "switch",
        "read": {"path": "/shop"},
        "is_paused": "!open",
        "stop": {"method": "POST", "path": "/shop/stop"},
        "start": {"method": "POST", "path": "/shop/start"},
    }
    channel = opened(respond, pause=switch)
    assert channel.pause([]) == {"kind": "switch", "was_paused": False, "by_switch": True}
    assert channel.pause([]) == {"kind": "switch", "was_paused": True, "by_switch": True}
    channel.resume({"kind": "switch", "was_paused": True})
    assert paused == [True]
    apply[0] = False
    with pytest.raises(ChannelFault) as caught:
        channel.resume({"kind": "switch", "was_paused": False})
    assert caught.value.resolution is Resolution.UNKNOWN
    strange = opened(lambda request: httpx.Response(200, json={"open": "x"}), pause={**switch, "is_paused": "open"})
    with pytest.raises(ChannelFault, match="neither true nor false"):
        strange.pause([])
