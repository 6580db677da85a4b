"""The words, pictures and page of the health report: judged rightly, and whatever a name is, it stays text."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from pydantic import ValidationError

from inventory.health.health_samples import Trend
from tasks.health.health_page import health_page, rows_table
from tasks.health.health_plots import trend_picture
from tasks.health.health_section import Section
from tasks.health.health_words import State, judged, many, percent, seconds

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
NASTY = "\"><script>alert('x')</script>&"


def trend(name: str, subject: str, *values: float) -> Trend:
    first = date(2026, 11, 1)
    return Trend(name, subject, tuple((first + timedelta(days=day), value) for day, value in enumerate(values)))


@pytest.mark.parametrize(
    ("value", "state"),
    [(None, State.UNKNOWN), (0.0, State.FINE), (0.01, State.WARNING), (0.0499, State.WARNING), (0.05, State.CRITICAL)],
)
def test_a_figure_at_its_limit_is_over_it(value: float | None, state: State) -> None:
    assert judged(value, 0.01, 0.05) is state


def test_figures_are_said_with_their_unit() -> None:
    assert [seconds(one) for one in (None, 0, 89.94, 90, 5400, 129_600)] == [
        "–", "0.0 s", "89.9 s", "1.5 min", "1.5 h", "1.5 days"
    ]  # fmt: skip
    assert (percent(None), percent(0.12345, 2), many(1, "SKU"), many(1200, "SKU")) == (
        "–",
        "12.35 %",
        "1 SKU",
        "1,200 SKUs",
    )


@pytest.mark.parametrize("name", ["ira", "failed syncs", "sync gap", "incidents"])
@pytest.mark.parametrize("values", [(0.0,), (1.0, 1.0), (0.2, 0.9, 0.0), (3_000_000.0, 1.0)])
def test_a_picture_is_sound_and_inside_its_frame(name: str, values: tuple[float, ...]) -> None:
    if name == "ira":
        values = tuple(min(1.0, one) for one in values)
    picture = trend_picture(name, [trend(name, "", *values), *(trend(name, f"s{n}{NASTY}", *values) for n in range(9))])
    drawn = ElementTree.fromstring(picture)  # noqa: S314 - our own text
    spots = [float(one.attrib["cy"]) for one in drawn.iter() if one.tag.endswith("circle")]
    labels = [float(one.attrib["y"]) for one in drawn.iter() if one.tag.endswith("text")]
    assert spots and all(0 <= one <= 190 for one in (*spots, *labels))
    assert "<script" not in picture


def test_nothing_noted_is_no_picture_and_no_rows_no_table() -> None:
    assert trend_picture("ira", []) == "" == rows_table([])


def test_names_stay_text_and_long_tables_say_so() -> None:
    rows: list[dict[str, str]] = [{NASTY: NASTY, "message": NASTY}] * 60
    section = Section("x", NASTY, State.CRITICAL, NASTY, NASTY, rows, "incidents")
    page = health_page([section], {"incidents": [trend("incidents", NASTY, 1, 2)]}, at=NOW)
    assert "<script" not in page and "and 10 more" in page and page.count("<tr>") == 51


@pytest.mark.parametrize(
    "nonsense",
    [{"days": 0}, {"days": "many"}, {"days": 10_000}, {"low_stock_days": 0}, {"low_stock_days": "nan"}, {"days": None}],
)
def test_the_form_refuses_nonsense(nonsense: dict[str, Any]) -> None:
    from prefect.exceptions import ParameterTypeError

    from flows.report_health import report_health

    with pytest.raises((ParameterTypeError, ValidationError)):
        report_health.validate_parameters(nonsense)
