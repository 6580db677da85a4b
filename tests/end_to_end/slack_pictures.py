"""Pictures of alerts as people see them, for docs/alerts.md: Block Kit as a small page, photographed by Chromium."""

import base64
import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from browser import Page, smaller

from adapters.slack import message
from inventory.alerting.alert_kinds import ALERT_KINDS
from inventory.alerting.alert_policy import Occasion
from inventory.alerting.alert_text import Fact, Links, compose
from inventory.words import IncidentKind

NOW = datetime(2026, 11, 20, 9, 42, tzinfo=UTC)
LINKS = Links("https://prefect.example.com/v2", "https://docs.example.com/runbooks.md")
WIDTH = 760
_STYLE = """
body { margin: 0; padding: 16px 20px; background: #fff; color: #1d1c1d; }
body { font: 15px/1.46 Lato, "Noto Sans", Arial, sans-serif; }
.row { display: flex; gap: 10px; }
.face { width: 36px; height: 36px; border-radius: 6px; background: #2e6f5e; color: #fff; flex: none; }
.face { font-weight: 700; text-align: center; line-height: 36px; }
.who { font-weight: 900; }
.who span { background: #ddd; font-size: 10px; padding: 1px 3px; border-radius: 2px; margin: 0 5px; }
.who time, .context { color: #616061; font-size: 13px; font-weight: 400; }
h3 { font-size: 18px; margin: 4px 0; }
.section { margin: 7px 0; white-space: pre-line; }
a { color: #1264a3; text-decoration: none; }
.sign { display: inline-block; width: 15px; height: 15px; border-radius: 50%; margin-right: 4px; }
"""
_SIGNS = {"🔴": "#e0334a", "🟡": "#f5b50a", "🔵": "#2f80d1", "✅": "#2e9e5b; border-radius: 3px"}
"""Not every machine has a font with these."""


def page_of(payload: dict[str, Any]) -> str:
    """The message as Slack shows it, roughly: what is bold, what is a link, what is small."""
    parts = []
    for block in payload["blocks"]:
        match block["type"]:
            case "header":
                sign, _, words = block["text"]["text"].partition(" ")
                parts.append(
                    f"<h3><span class=sign style='background: {_SIGNS[sign]}'></span>{html.escape(words)}</h3>"
                )
            case "section":
                parts.append(f"<div class=section>{_shown(block['text']['text'])}</div>")
            case "context":
                words = " ".join(_shown(element["text"]) for element in block["elements"])
                parts.append(f"<div class=context>{words}</div>")
    who = f"<div class=who>onhand<span>APP</span><time>{NOW:%H:%M}</time></div>"
    body = f"<div class=row><div class=face>o</div><div>{who}{''.join(parts)}</div></div>"
    return f"<!doctype html><meta charset=utf-8><style>{_STYLE}</style><body>{body}"


def _shown(mrkdwn: str) -> str:
    """Its `&amp;`, `&lt;` and `&gt;` are HTML's as well."""
    linked = re.sub(r"<([^|>]+)\|([^>]+)>", r'<a href="\1">\2</a>', mrkdwn)
    return re.sub(r"(?m)(?<!\w)_([^_\n]+)_(?!\w)", r"<i>\1</i>", re.sub(r"\*([^*\n]+)\*", r"<b>\1</b>", linked))


def examples() -> dict[str, dict[str, Any]]:
    """{name of the picture: payload}"""
    story = "ebay sold 3 of MUG-BLUE in order:ebay:27-1043 and 2 of them do not exist"
    at_risk = "2 units sold that do not exist; 4 units on show or sold unseen"
    opened = _fact(1, IncidentKind.OVERSOLD, "MUG-BLUE", 0, story, at_risk, 6)
    many = [
        _fact(number, IncidentKind.FOREIGN_WRITE, f"shopify/{48100 + number}", 12 + number,
              f"shopify shows {9 + number} of {sku}, but {4 + number} is all it was given: somebody else writes to it",
              f"{9 + number} units on show or sold unseen", 9 + number)
        for number, sku in enumerate(["LAMP-S", "LAMP-M", "<!channel> & Co", "RUG-120", "RUG-160", "VASE", "TRAY"], 1)
    ]  # fmt: skip
    gone = _fact(
        9, IncidentKind.NOT_RUNNING, "pull/amazon", 71, "the orders of amazon were last read at 08:31 UTC", "", 0
    )
    late = _fact(9, IncidentKind.NOT_RUNNING, "pull/amazon", 34, "the orders of amazon were last read at 09:08 UTC",
                 "118 units on show or sold unseen", 118, times=64)  # fmt: skip
    texts = {
        "alert-opened": (Occasion.OPENED, [opened]),
        "alert-many": (Occasion.OPENED, many),
        "alert-escalated": (Occasion.ESCALATED, [late]),
        "alert-resolved": (Occasion.RESOLVED, [gone]),
    }
    return {
        name: message(compose(occasion, facts, LINKS, key=name, now=NOW)) for name, (occasion, facts) in texts.items()
    }


def _fact(
    number: int, kind: IncidentKind, subject: str, minutes: int, story: str, at_risk: str, units: int, times: int = 1
) -> Fact:
    opened = NOW - timedelta(minutes=minutes)
    severity = ALERT_KINDS[kind].severity
    return Fact(number, kind.value, subject, severity, story, opened, NOW, times, True, at_risk, units)


def photograph_alerts(page: Page) -> dict[str, bytes]:
    """{name: PNG}"""
    pictures = {}
    for name, payload in examples().items():
        source = base64.b64encode(page_of(payload).encode()).decode()
        page.open(f"data:text/html;charset=utf-8;base64,{source}", "onhand")
        size = {"width": WIDTH, "height": 200, "deviceScaleFactor": 1, "mobile": False}
        page.call("Emulation.setDeviceMetricsOverride", **size)
        height = int(page.script("document.documentElement.offsetHeight"))
        page.call("Emulation.setDeviceMetricsOverride", **(size | {"height": height}))
        page.settle(0.3)
        pictures[name] = smaller(base64.b64decode(page.call("Page.captureScreenshot", format="png")["data"]))
    return pictures
