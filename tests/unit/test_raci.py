"""The RACI file: what comes with onhand is sound, and every mistake is told in a line that names its place."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.raci_file import RaciError, read_raci
from adapters.settings import PROJECT_ROOT
from inventory.people.raci import Action, NotAllowed, check_may, needs_approval, same_name, why_not_approver
from onhand.command_line import run

SHIPPED = (PROJECT_ROOT / "raci.toml").read_text()


def written(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "raci.toml"
    path.write_text(content)
    return path


def test_the_file_that_comes_with_onhand_names_every_action() -> None:
    raci = read_raci(PROJECT_ROOT / "raci.toml")
    assert set(raci.rights) == set(Action)
    assert {"returns", "receipts", "drift"} <= set(raci.duties)
    for action in Action:
        check_may(raci, action, "anybody")
    assert needs_approval(raci, Action.DISMISS_ROWS)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("", "", "does not exist"),
        ("[roles]", "[roles", "cannot be read as TOML"),
        ("units = 50", "units = -1", "action.adjust_stock.units"),
        ("units = 50", "units = true", "action.adjust_stock.units"),
        ("units = 50", 'units = "many"', "action.adjust_stock.units"),
        ("units = 50", "units = 1.5", "action.adjust_stock.units"),
        ("value = 1000", "value = nan", "action.adjust_stock.value"),
        ("units = 50", "unit = 50", "action.adjust_stock.unit"),
        ("[action.sync_now]", "[action.sink_now]", "action.sink_now"),
        ('accountable = "supervisor"', 'accountable = "boss"', "the role 'boss'"),
        ('accountable = "supervisor"', "", "accountable: is missing"),
        ('responsible = ["operations", "warehouse"]', "responsible = []", "action.adjust_stock.responsible"),
        ('finance = ["*"]', "finance = []", "roles.finance"),
        ('finance = ["*"]', 'finance = ["?!"]', "'?!' is no name"),
        ('finance = ["*"]', 'finance = "*"', "roles.finance"),
        ("[duty.returns]", "[duties.returns]", "duties"),
    ],
)
def test_a_mistake_names_its_place(tmp_path: Path, before: str, after: str, says: str) -> None:
    path = written(tmp_path, SHIPPED.replace(before, after, 1)) if before else tmp_path / "none.toml"
    with pytest.raises(RaciError) as caught:
        read_raci(path)
    assert says in str(caught.value)
    assert all(str(path) in line for line in str(caught.value).splitlines())


def test_an_action_that_is_left_out_and_a_person_alone_are_mistakes(tmp_path: Path) -> None:
    start, end = SHIPPED.index("[action.sync_now]"), SHIPPED.index("[action.promo_guard]")
    with pytest.raises(RaciError, match=r"\[action.sync_now\] is missing"):
        read_raci(written(tmp_path, SHIPPED[:start] + SHIPPED[end:]))
    alone = SHIPPED
    for role in ("operations", "supervisor", "warehouse"):
        alone = alone.replace(f'{role} = ["*"]', f'{role} = ["Wanda"]')
    with pytest.raises(RaciError, match="nobody is left to approve"):
        read_raci(written(tmp_path, alone))


def test_names_are_compared_as_people_mean_them(tmp_path: Path) -> None:
    raci = read_raci(written(tmp_path, SHIPPED.replace('operations = ["*"]', 'operations = ["Wanda  Weber"]')))
    check_may(raci, Action.PROMO_GUARD, " wanda WEBER ")
    for stranger in ("Wanda", "*", "", " ", "Wanda Weber "):
        if same_name(stranger) != same_name("Wanda Weber"):
            with pytest.raises(NotAllowed):
                check_may(raci, Action.PROMO_GUARD, stranger)
    assert same_name("Wanda Weber") == "wanda weber"
    assert why_not_approver(raci, Action.ADJUST_STOCK, "WANDA weber", "Wanda Weber")
    assert why_not_approver(raci, Action.ADJUST_STOCK, "Sue", "Wanda Weber") == ""


@pytest.mark.parametrize(
    ("units", "value", "asks"),
    [
        (50, None, False),
        (-50, Decimal(1000), False),
        (51, None, True),
        (-51, None, True),
        (1, Decimal("1000.01"), True),
        (0, Decimal(-2000), True),
    ],
)
def test_limits_are_by_units_and_by_value(units: int, value: Decimal | None, asks: bool) -> None:
    raci = read_raci(PROJECT_ROOT / "raci.toml")
    assert bool(needs_approval(raci, Action.ADJUST_STOCK, units=units, value=value)) is asks


def test_the_command_shows_it_and_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["raci"]) == 0
    shown = capsys.readouterr().out
    assert all(action in shown for action in Action)
    assert "anybody" in shown
    assert run(["raci", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["actions"]["adjust_stock"]["units"] == 50
    monkeypatch.setenv("ONHAND_RACI_FILE", str(written(tmp_path, SHIPPED.replace("units = 50", "units = -1", 1))))
    assert run(["raci"]) == 2
    assert "action.adjust_stock.units" in capsys.readouterr().err
