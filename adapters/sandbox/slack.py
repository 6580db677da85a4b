"""A small imitation of Slack's incoming webhooks: it takes what Slack takes, refuses what Slack refuses, and can
throttle, fail, hang up, or take a message without saying so.

Answers and limits: docs.slack.dev (incoming webhooks, rate limits), python-slack-sdk `models/blocks`.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx

from adapters.slack import BLOCKS_MAX, CONTEXT_MAX, HEADER_MAX, SECTION_MAX

WEBHOOK = "https://hooks.slack.test/services/T0SANDBOX/B0SANDBOX/notARealSecret"
CONTEXT_ELEMENTS_MAX = 10
FIELDS_MAX = 10
BLOCK_ID_MAX = 255
ALL_BLOCKS_MAX = 13_200
TEXT_MAX = 40_000


@dataclass
class SlackSandbox:
    """`faults` are used up one an attempt: a status, `hang_up`, or `take_and_hang_up`."""

    faults: list[int | str] = field(default_factory=list)
    retry_after: str = "7"
    gone: bool = False
    """The webhook was deleted."""
    refuse_blocks: bool = False
    taken: list[dict[str, Any]] = field(default_factory=list)
    attempts: int = 0

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.answer)

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.attempts += 1
        fault = self.faults.pop(0) if self.faults else None
        if fault == "hang_up":
            raise httpx.ConnectError("refused", request=request)
        if self.gone or str(request.url) != WEBHOOK:
            return httpx.Response(404, text="no_service")
        if isinstance(fault, int):
            headers = {"retry-after": self.retry_after} if fault == 429 else {}
            return httpx.Response(fault, text="rollup_error", headers=headers)
        problem = self._problem(request)
        if problem:
            return httpx.Response(400, text=problem)
        self.taken.append(json.loads(request.content))
        if fault == "take_and_hang_up":
            raise httpx.ReadTimeout("no answer", request=request)
        return httpx.Response(200, text="ok")

    def _problem(self, request: httpx.Request) -> str:
        if request.headers.get("content-type") != "application/json":
            return "invalid_payload"
        try:
            payload = json.loads(request.content)
        except ValueError:
            return "invalid_payload"
        if not isinstance(payload, dict) or not isinstance(payload.get("text"), str):
            return "no_text"
        if not 1 <= len(payload["text"]) <= TEXT_MAX:
            return "no_text"
        blocks = payload.get("blocks", [])
        if self.refuse_blocks and blocks:
            return "invalid_blocks"
        return "" if blocks_are_good(blocks) else "invalid_blocks"


def blocks_are_good(blocks: list[dict[str, Any]]) -> bool:
    if len(blocks) > BLOCKS_MAX or len(json.dumps(blocks, ensure_ascii=False)) > ALL_BLOCKS_MAX:
        return False
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    return len(set(ids)) == len(ids) and max(map(len, ids), default=0) <= BLOCK_ID_MAX and all(map(_is_good, blocks))


def _is_good(block: dict[str, Any]) -> bool:
    match block.get("type"):
        case "header":
            return _fits(block.get("text"), HEADER_MAX, "plain_text")
        case "section":
            fields = block.get("fields", [])
            texts_fit = all(_fits(one, CONTEXT_MAX, "mrkdwn", "plain_text") for one in fields)
            return len(fields) <= FIELDS_MAX and texts_fit and _fits(block.get("text"), SECTION_MAX, "mrkdwn")
        case "context":
            elements = block.get("elements", [])
            return 1 <= len(elements) <= CONTEXT_ELEMENTS_MAX and all(
                _fits(one, CONTEXT_MAX, "mrkdwn") for one in elements
            )
        case other:
            return other == "divider"


def _fits(text: Any, most: int, *types: str) -> bool:
    return (
        isinstance(text, dict)
        and text.get("type") in types
        and isinstance(text.get("text"), str)
        and 1 <= len(text["text"]) <= most
    )
