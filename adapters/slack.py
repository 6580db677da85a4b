"""Alerts to Slack: Block Kit within its limits, by an incoming webhook.

Source of limits and answers: slackapi/python-slack-sdk `models/blocks` and docs.slack.dev (incoming webhooks, rate
limits, escaping). The webhook's whole address is the secret, so nothing here ever says it.
"""

import re
from collections.abc import Iterator
from typing import Any

import httpx
from pydantic import SecretStr

from adapters.http import make_client, parse_retry_after
from adapters.messenger import NotDelivered
from inventory.alerting.alert_text import AlertText, Entry
from inventory.words import Severity

HEADER_MAX = 150
SECTION_MAX = 3000
CONTEXT_MAX = 2000
TEXT_MAX = 4000
BLOCKS_MAX = 50
WORTH_READING = 12_000
"""Characters of all blocks together. Slack refuses more than about 13,200, undocumented."""
STORY_MAX = 500
SUBJECT_MAX = 120

_FOR_GOOD = frozenset({401, 403, 404, 410})
_WEBHOOK = re.compile(r"https://[^\s/]+/|http://(?:127\.0\.0\.1|localhost)[:/]")
_PLAIN_WORD = re.compile(r"[a-z_]{1,60}")
_SIGN = {Severity.CRITICAL: "🔴", Severity.WARNING: "🟡", Severity.INFO: "🔵"}
_ALERTING_WORDS = re.compile(r"@(?=(?:here|channel|everyone|group)\b)", re.IGNORECASE)
_INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ufff0-\ufffb\ud800-\udfff]"
)
"""Control characters, what turns the direction of writing, and halves of characters; a space takes their place."""


def message(text: AlertText) -> dict[str, Any]:
    """The payload: `text` for notifications and old clients, `blocks` for people."""
    sign = "✅" if text.is_resolved else _SIGN[text.severity]
    headline = clean(text.headline)
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "block_id": f"onhand-{text.key}",
            "text": {"type": "plain_text", "text": cut(f"{sign} {_tame(headline)}", HEADER_MAX), "emoji": False},
        },
        _context(escape(text.owner_line)),
        *(_section(part) for part in _entries(text)),
    ]
    if text.done:
        blocks.append(_section(f"*Done already:* {escape(text.done)}\n*To do:* {escape(text.to_do)}"))
    blocks.append(_context(_links(text)))
    short = escape(f"{sign} {headline}", TEXT_MAX)
    return {"text": short, "blocks": blocks[:BLOCKS_MAX], "unfurl_links": False, "unfurl_media": False}


def bare_message(text: AlertText) -> dict[str, Any]:
    """The same in plain words, for a Slack that does not take the blocks."""
    lines = [text.headline, *(f"{entry.subject}: {entry.story} ({entry.since})" for entry in text.entries)]
    lines += [f"To do: {text.to_do}"] if text.to_do else []
    return {"text": "\n".join(escape(line, STORY_MAX) for line in lines)[:SECTION_MAX], "unfurl_links": False}


def _entries(text: AlertText) -> Iterator[str]:
    left = WORTH_READING - SECTION_MAX
    shown = 0
    for entry in text.entries:
        words = _entry(entry)
        if len(words) > left:
            break
        left -= len(words)
        shown += 1
        yield words
    if more := len(text.entries) - shown + text.left_out:
        yield f"_and {more} more_"


def _entry(entry: Entry) -> str:
    when = escape(entry.since) + (f"  ·  At risk: {escape(entry.at_risk)}" if entry.at_risk else "")
    return "\n".join([bold(entry.subject, SUBJECT_MAX), escape(entry.story, STORY_MAX), when])


def _links(text: AlertText) -> str:
    runbook = f"<{_address(text.runbook)}|Runbook>" if "://" in text.runbook else f"Runbook: {escape(text.runbook)}"
    parts = [runbook] + ([f"<{_address(text.prefect)}|Prefect>"] if "://" in text.prefect else [])
    if text.repeated:
        parts.append("may be told twice: the answer to an earlier attempt never came")
    return "  ·  ".join(parts)


def _address(url: str) -> str:
    """A link's address cannot end its own link."""
    return clean(url).replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")[:1000]


def _section(words: str) -> dict[str, Any]:
    # verbatim: Slack looks for no addresses, names or channels in it by itself.
    return {"type": "section", "text": {"type": "mrkdwn", "text": words, "verbatim": True}}


def _context(words: str) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": words, "verbatim": True}]}


def clean(raw: str) -> str:
    """One line that shows what it holds."""
    return " ".join(_INVISIBLE.sub(" ", raw).split())


def _tame(raw: str) -> str:
    """Plain text is not escaped; what would be a mention elsewhere is none here, whatever reads it."""
    return _ALERTING_WORDS.sub("@\u200b", raw).translate({ord("<"): "\u2039", ord(">"): "\u203a"})


def bold(raw: str, most: int) -> str:
    """Bold, unless it holds what would end that."""
    words = escape(raw, most)
    return words if set(words) & set("*~`") else f"*{words}*"


def escape(raw: str, most: int = SECTION_MAX) -> str:
    """Text from outside as mrkdwn: no mention, no link; at most `most` characters long when it is escaped."""
    tame = _ALERTING_WORDS.sub("@\u200b", clean(raw))
    parts: list[str] = []
    left = most - 1
    for character in tame:
        safe = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(character, character)
        if len(safe) > left:
            return "".join(parts) + "…"
        parts.append(safe)
        left -= len(safe)
    return "".join(parts)


def cut(raw: str, most: int) -> str:
    return raw if len(raw) <= most else raw[: most - 1] + "…"


class Slack:
    """One incoming webhook."""

    pace_s = 1.0
    """Slack takes one message a second and webhook."""

    def __init__(
        self, url: SecretStr, *, timeout_s: float = 10.0, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._url = url
        self._client = make_client(base_url="", timeout_s=timeout_s, transport=transport)

    def close(self) -> None:
        self._client.close()

    def send(self, text: AlertText) -> None:
        """Raises NotDelivered. Blocks that Slack does not take are sent once more as plain words."""
        try:
            self._post(message(text))
        except NotDelivered as fault:
            if not fault.refused:
                raise
            self._post(bare_message(text))

    def _post(self, payload: dict[str, Any]) -> None:
        fault: NotDelivered | None
        url = self._url.get_secret_value()
        if not _WEBHOOK.match(url):
            raise NotDelivered("the webhook's address is no https URL", for_good=True)
        try:
            answer = self._client.post(url, json=payload)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            fault = NotDelivered(f"Slack cannot be reached ({type(error).__name__})")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            fault = NotDelivered(f"Slack did not answer ({type(error).__name__})", in_doubt=True)
        else:
            fault = _judge(answer)
        # Raised here, outside the except blocks: a chained error of httpx would quote the address.
        if fault is not None:
            raise fault


def _judge(answer: httpx.Response) -> NotDelivered | None:
    if answer.status_code == httpx.codes.OK:
        return None
    said = answer.text.strip()[:100]
    why = f"Slack answered {answer.status_code}" + (f" {said}" if _PLAIN_WORD.fullmatch(said) else "")
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        wait = parse_retry_after(answer.headers.get("retry-after"), answer.headers.get("date"))
        return NotDelivered(why, retry_after=30.0 if wait is None else wait)
    if answer.status_code in _FOR_GOOD:
        return NotDelivered(why, for_good=True)
    if answer.status_code >= 500:
        return NotDelivered(why)
    return NotDelivered(why, refused=answer.status_code in (400, 413), for_good=answer.status_code not in (400, 413))
