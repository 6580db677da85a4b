"""What we post fits Slack's schema and limits, and nothing from outside can act in it."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from adapters import slack
from adapters.messenger import NotDelivered
from adapters.sandbox import slack as sandbox
from adapters.sandbox.slack import WEBHOOK, SlackSandbox, blocks_are_good
from adapters.slack import Slack, bare_message, escape, message
from inventory.alerting.alert_kinds import ALERT_KINDS
from inventory.alerting.alert_policy import Occasion
from inventory.alerting.alert_text import AlertText, Fact, Links, compose
from inventory.words import IncidentKind, Severity

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LINKS = Links("https://prefect.test/v2", "https://docs.test/runbooks?x=1&y=2")
EVIL = "<!channel> <@U012> <#C1> <https://evil.test|here> @here @channel & `*_~ \u202e\x00\nTo do: pay"
SECRET = "notARealSecret"


@pytest.fixture(scope="module")
def spec() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared" / "specs" / "slack"
    if not folder.is_dir():
        pytest.skip("Slack's limits and schema are not beside the project")
    return folder


@pytest.fixture(scope="module")
def schema(spec: Path) -> Draft202012Validator:
    return Draft202012Validator(json.loads((spec / "incoming_webhook_payload.schema.json").read_text()))


def alert(
    kind: IncidentKind = IncidentKind.OVERSOLD,
    occasion: Occasion = Occasion.OPENED,
    *,
    count: int = 1,
    subject: str = "SKU-1",
    story: str = "shopify sold 3 of SKU-1 and 2 of them do not exist",
    repeated: bool = False,
) -> AlertText:
    facts = [
        Fact(
            n,
            kind.value,
            subject,
            ALERT_KINDS[kind].severity,
            story,
            NOW - timedelta(hours=n),
            NOW,
            n + 1,
            True,
            "4 units",
        )
        for n in range(count)
    ]
    return compose(occasion, facts, LINKS, key="0123456789abcdef01234567", now=NOW, repeated=repeated)


def texts(payload: Any) -> list[str]:
    """Every string that Slack reads as mrkdwn."""
    if isinstance(payload, dict):
        own = [payload["text"]] if isinstance(payload.get("text"), str) and payload.get("type") != "plain_text" else []
        return own + [one for value in payload.values() for one in texts(value)]
    return [one for part in payload for one in texts(part)] if isinstance(payload, list) else []


def test_our_limits_are_slacks(spec: Path) -> None:
    limits = json.loads((spec / "limits.json").read_text())
    assert slack.BLOCKS_MAX == limits["message"]["blocks_max"]
    assert slack.TEXT_MAX <= limits["message"]["text_recommended_max"]
    assert slack.HEADER_MAX == limits["header.text_max"]
    assert slack.SECTION_MAX == limits["section.text_max"]
    assert slack.CONTEXT_MAX == limits["section.field_text_max"]
    assert sandbox.CONTEXT_ELEMENTS_MAX == limits["context.elements_max"]
    assert sandbox.FIELDS_MAX == limits["section.fields_max"]
    assert sandbox.BLOCK_ID_MAX == limits["block_id_max"]
    assert sandbox.TEXT_MAX == limits["message"]["text_truncated_over"]
    assert f"{sandbox.ALL_BLOCKS_MAX:,}" in limits["message"]["undocumented_total_blocks_chars"]
    assert Slack.pace_s >= 1


@pytest.mark.parametrize("occasion", Occasion)
@pytest.mark.parametrize("kind", IncidentKind)
def test_every_kind_and_occasion_fits(kind: IncidentKind, occasion: Occasion, schema: Draft202012Validator) -> None:
    for count in (1, 40):
        payload = message(alert(kind, occasion, count=count, repeated=True))
        assert [error.message for error in schema.iter_errors(payload)] == []
        assert blocks_are_good(payload["blocks"])
    assert [error.message for error in schema.iter_errors(bare_message(alert(kind, occasion)))] == []


hostile = st.text(max_size=4000) | st.lists(
    st.sampled_from(
        ["<!channel>", "<!here|x>", "<@U1>", "&", "<", ">", "*", "`", "\n", "\u202e", "@everyone", "SKU", "|"]
    ),
    max_size=900,
).map("".join)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(subject=hostile, story=hostile, count=st.integers(1, 12))
def test_nothing_from_outside_acts_or_breaks_a_limit(
    subject: str, story: str, count: int, schema: Draft202012Validator
) -> None:
    text = alert(subject=subject, story=story, count=count)
    for payload in (message(text), bare_message(text)):
        assert [error.message for error in schema.iter_errors(payload)] == []
        assert blocks_are_good(payload.get("blocks", []))
        for words in texts(payload):
            links = re.findall(r"<([^>]*)>", words)
            assert all(link.endswith(("|Runbook", "|Prefect")) for link in links)
            assert "<" not in re.sub(r"<https://[^<>|]*\|(?:Runbook|Prefect)>", "", words)
            assert not re.search(r"@(here|channel|everyone)\b", words, re.IGNORECASE)
            assert not re.search(r"&(?!amp;|lt;|gt;)", words)


def test_a_mention_in_a_sku_is_text() -> None:
    payload = message(alert(subject=EVIL, story=EVIL))
    whole = json.dumps(payload, ensure_ascii=False)
    assert "&lt;!channel&gt;" in whole
    assert "<!channel>" not in "".join(texts(payload))
    assert "\u202e" not in whole
    # In the header nothing is interpreted, and it stays one line.
    header = payload["blocks"][0]["text"]
    assert (header["type"], header["emoji"]) == ("plain_text", False)
    assert not set(header["text"]) & set("<>\n")
    assert all(one["verbatim"] for block in payload["blocks"] for one in block.get("elements", []))
    assert payload["blocks"][2]["text"]["verbatim"] is True


def test_an_entity_is_never_cut() -> None:
    for most in range(2, 30):
        cut = escape("a&<>&<>&<>", most)
        assert len(cut) <= most
        assert not re.search(r"&(?!amp;|lt;|gt;)", cut)


@pytest.mark.parametrize(
    ("fault", "flags"),
    [
        (429, {"retry_after": 7.0}),
        (500, {}),
        (503, {}),
        (403, {"for_good": True}),
        (410, {"for_good": True}),
        ("hang_up", {}),
        ("take_and_hang_up", {"in_doubt": True}),
    ],
)
def test_each_answer_means_something_and_says_no_secret(fault: int | str, flags: dict[str, Any]) -> None:
    box = SlackSandbox(faults=[fault])
    with pytest.raises(NotDelivered) as caught:
        Slack(SecretStr(WEBHOOK), transport=box.transport()).send(alert())
    error = caught.value
    expected = {"retry_after": None, "for_good": False, "refused": False, "in_doubt": False} | flags
    assert {name: getattr(error, name) for name in expected} == expected
    assert SECRET not in repr(error) + str(error)
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(
    "url", ["https://hooks.slack.test/services/wrong/notARealSecret", "nonsense notARealSecret", ""]
)
def test_a_wrong_address_is_no_leak(url: str) -> None:
    with pytest.raises(NotDelivered) as caught:
        Slack(SecretStr(url), transport=SlackSandbox().transport()).send(alert())
    assert SECRET not in str(caught.value)


def test_an_answer_with_nonsense_is_not_repeated() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, text="<html>your token xoxb-1</html>")

    with pytest.raises(NotDelivered, match=r"^Slack answered 400$") as caught:
        Slack(SecretStr(WEBHOOK), transport=httpx.MockTransport(answer)).send(alert())
    assert caught.value.refused


def test_the_imitation_refuses_what_slack_refuses() -> None:
    box = SlackSandbox()
    client = httpx.Client(transport=box.transport())
    good = message(alert())
    wrong = [
        good | {"blocks": good["blocks"] * 13},
        good | {"blocks": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}]},
        good | {"blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]},
        good | {"blocks": [good["blocks"][0], good["blocks"][0]]},
        good | {"blocks": [{"type": "table"}]},
    ]
    assert [client.post(WEBHOOK, json=one).text for one in wrong] == ["invalid_blocks"] * 5
    assert client.post(WEBHOOK, json={"blocks": good["blocks"]}).text == "no_text"
    assert client.post(WEBHOOK, content=b"{").text == "invalid_payload"
    assert client.post(WEBHOOK, json=good).text == "ok"
    assert box.taken == [good]


def test_info_and_resolved_have_their_own_sign() -> None:
    assert message(alert(occasion=Occasion.RESOLVED))["blocks"][0]["text"]["text"].startswith("✅")
    assert slack._SIGN[Severity.INFO] != slack._SIGN[Severity.CRITICAL]
