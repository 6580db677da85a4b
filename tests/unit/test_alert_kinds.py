"""Every kind of incident has a severity, an owner, advice and a section in the runbooks."""

import re
from pathlib import Path

import pytest

from inventory.alerting.alert_kinds import ALERT_KINDS, RUNBOOKS, Owner, alert_kind
from inventory.words import IncidentKind, Severity

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = dict(
    re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", (ROOT / RUNBOOKS).read_text(), flags=re.MULTILINE | re.DOTALL)
)


def anchor(heading: str) -> str:
    """As GitHub makes it: lower case, punctuation away, spaces to dashes."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("kind", IncidentKind)
def test_every_kind_has_its_entry_and_its_runbook(kind: IncidentKind) -> None:
    entry = ALERT_KINDS[kind]
    assert entry.title in SECTIONS, f"{RUNBOOKS} has no section '## {entry.title}' for {kind.value}"
    section = SECTIONS[entry.title]
    assert f"`{kind.value}`" in section, f"the section '## {entry.title}' does not name its kind `{kind.value}`"
    assert len(section.split()) > 30, f"the section '## {entry.title}' says too little"
    assert entry.anchor == anchor(entry.title)


@pytest.mark.parametrize("kind", IncidentKind)
def test_the_advice_can_be_read_on_a_telephone(kind: IncidentKind) -> None:
    entry = ALERT_KINDS[kind]
    assert isinstance(entry.owner, Owner)
    assert entry.severity in (Severity.CRITICAL, Severity.WARNING, Severity.INFO)
    for sentence in (entry.done, entry.to_do):
        assert 20 <= len(sentence) <= 160
        assert sentence[0].isupper()
        assert sentence.endswith(".")
    assert len(entry.title) <= 40


def test_no_two_kinds_share_a_title_and_no_section_is_left_over() -> None:
    titles = [entry.title for entry in ALERT_KINDS.values()]
    assert len(set(titles)) == len(titles)
    assert set(SECTIONS) - set(titles) == {"How to read an alert"}


def test_a_kind_of_another_version_is_told_as_well() -> None:
    entry = alert_kind("moon_phase")
    assert (entry.title, entry.owner) == ("Moon phase", Owner.ENGINEERING)
    assert alert_kind("oversold") is ALERT_KINDS[IncidentKind.OVERSOLD]
