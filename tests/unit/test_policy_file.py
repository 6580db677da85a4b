"""Policy-as-code: what a file means for a listing, and that nonsense is told in a line that names its place."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from inventory.policies.policy_file import PolicyFileError, content_hash, parse_policy_file

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "policy.example.toml"
SUMMER = datetime(2026, 7, 1, tzinfo=UTC)
BLACK_FRIDAY = datetime(2026, 11, 27, 12, tzinfo=UTC)


def test_the_example_says_what_its_comments_say() -> None:
    file = parse_policy_file(EXAMPLE.read_text())
    plain = file.terms("shopify", "", SUMMER)
    assert (plain.policy.text, plain.cap, plain.floor, plain.safety, plain.rules) == ("strict", None, 0, 0, ())
    assert file.terms("shopify", "everyday", SUMMER).policy.text == "calibrated:0.001"
    assert file.terms("shopify", "high-value", SUMMER).safety == 1
    assert (file.terms("portal", "", SUMMER).floor, file.terms("portal", "", SUMMER).cap) == (6, 500)
    # While the promotion lasts, and not an instant longer.
    assert file.terms("website", "everyday", BLACK_FRIDAY).cap == 5
    assert file.terms("website", "everyday", BLACK_FRIDAY).policy.text == "calibrated:0.001"
    assert file.terms("amazon", "", BLACK_FRIDAY).share == 100
    ends = datetime.fromisoformat("2026-12-01T00:00:00+01:00")
    assert file.terms("website", "", ends).cap is None
    assert len(list(file.boundaries())) == 4
    assert file.learns and not file.is_plain


def test_a_later_rule_overrides_what_it_states_and_leaves_the_rest() -> None:
    file = parse_policy_file(
        '[default]\npolicy = "fixed:3"\ncap = 9\n[[rule]]\nname = "a"\nfloor = 2\ncap = 7\n'
        '[[rule]]\nname = "b"\nchannels = ["shop"]\npolicy = "mirror"\n'
    )
    terms = file.terms("shop", "", SUMMER)
    assert (terms.policy.text, terms.cap, terms.floor) == ("mirror", 7, 2)
    assert terms.label == "mirror, cap 7, floor 2, by a + b"
    assert file.terms("other", "", SUMMER).policy.text == "fixed:3"


def test_no_text_is_strict_for_everything() -> None:
    assert parse_policy_file("").is_plain
    assert not parse_policy_file("").learns


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = [", "not valid TOML"),
        ("\x00", "zero byte"),
        ("a" * 300_000, "characters"),
        ('rules = "x"', "rules: is no key of this table"),
        ("default = 1", "default"),
        ("rule = 3", "rule"),
        ('[default]\npolicy = "hope"', "default: policy: 'hope' is not a policy"),
        ('[default]\npolicy = "strict+cap:4"', "write `cap` and `floor` as keys of their own"),
        ("[default]\ncap = -1", "default: cap"),
        ("[default]\ncap = true", "default: cap"),
        ("[default]\ncap = 1.5", "default: cap"),
        ("[default]\ncap = 1\nfloor = 2", "cap 1 is below floor 2"),
        ("[[rule]]\ncap = 1", "rule 1: name: is missing"),
        ('[[rule]]\nname = " "\ncap = 1', "rule 1 ( ): name"),
        ('[[rule]]\nname = "x"', "states nothing"),
        ('[[rule]]\nname = "x"\ncap = 1\n[[rule]]\nname = "x"\ncap = 2', "two rules are called 'x'"),
        ('[[rule]]\nname = "x"\nsafety = 1\nchannels = ["a"]', "cannot be scoped by `channels`"),
        ('[[rule]]\nname = "x"\ncap = 1\nfrom = 2026-01-01T00:00:00', "rule 1 (x): from: needs an offset"),
        (
            '[[rule]]\nname = "x"\ncap = 1\nfrom = 2026-01-02T00:00:00Z\nuntil = 2026-01-01T00:00:00Z',
            "`until` is not after `from`",
        ),
        ('[[rule]]\nname = "x"\nshare = nan', "share"),
        ('[[rule]]\nname = "x"\nchannels = "shop"\ncap = 1', "rule 1 (x): channels"),
        ('review_by = "soon"', "review_by"),
    ],
)
def test_nonsense_is_refused_and_named(text: str, said: str) -> None:
    with pytest.raises(PolicyFileError) as refused:
        parse_policy_file(text)
    assert said in str(refused.value)


@given(some.text(max_size=200))
def test_any_text_is_a_policy_file_or_refused(text: str) -> None:
    try:
        parse_policy_file(text)
    except PolicyFileError as error:
        assert str(error)


def test_unknown_channels_and_classes_are_named() -> None:
    file = parse_policy_file('[[rule]]\nname = "x"\nchannels = ["shop", "shpo"]\nclasses = ["toys"]\ncap = 1')
    assert file.unknown({"shop"}, {"books"}) == ["rule 'x': no channel 'shpo'", "rule 'x': no item is of class 'toys'"]


def test_line_ends_do_not_make_another_version() -> None:
    assert content_hash("a\r\nb") == content_hash("a\nb") != content_hash("a\nc")
