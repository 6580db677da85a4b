"""The lock is whole, what is installed is the lock, and an advisory is seen where it is about a locked version."""

import json
from pathlib import Path

import pytest
from dependency_audit import LOCK, advisories, concerned, differences, installed, locked, main, strange_licences
from packaging.version import Version

HASH = "--hash=sha256:" + "0" * 64


def test_the_lock_is_pinned_with_hashes_and_its_licences_are_known() -> None:
    found, wrong = locked(LOCK.read_text())
    assert wrong == [] and len(found) > 100
    assert list(strange_licences(found)) == []
    assert found.keys() - installed().keys() == set()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a>=1 " + HASH, "a is not pinned"),
        ("a==1.* " + HASH, "a is not pinned"),
        ("a==1", "a has no sha256"),
        ("a==1 --hash=md5:00", "a has no sha256"),
        ("a @ https://example.com/a.whl " + HASH, "a is not pinned"),
        ("-e .", "is no requirement"),
    ],
)
def test_a_weak_line_of_a_lock_is_told(line: str, said: str) -> None:
    found, wrong = locked(f"b==2 \\\n    {HASH} \\\n    {HASH}\n{line}\nc==1 ; python_version < '3' \\\n    {HASH}\n")
    assert found == {"b": Version("2")}
    assert len(wrong) == 1 and said in wrong[0]


def test_what_is_installed_beside_the_lock_is_told() -> None:
    lock, there = {"a": Version("1"), "b": Version("1")}, {"b": Version("2"), "c": Version("1"), "pip": Version("9")}
    assert [one.split()[0] for one in differences(lock, there)] == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("version", "is_concerned"), [("1.9", False), ("2.0", True), ("2.4.9", True), ("2.5", False), ("3.1", True)]
)
def test_an_advisory_is_about_its_versions(version: str, is_concerned: bool, tmp_path: Path) -> None:
    events = [{"introduced": "2.0"}, {"fixed": "2.5"}]
    affected = {
        "package": {"ecosystem": "PyPI", "name": "Some_Package"}, "versions": ["3.1", "not-a-version"],
        "ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}, {"type": "ECOSYSTEM", "events": events}],
    }  # fmt: skip
    other = {"package": {"ecosystem": "npm", "name": "some-package"}, "ranges": affected["ranges"]}
    (tmp_path / "one.json").write_text(json.dumps({"id": "X-1", "summary": "bad", "affected": [affected, other]}))
    (tmp_path / "two.json").write_text(json.dumps([{"id": "X-2", "withdrawn": "2026", "affected": [affected]}]))
    lock = {"some-package": Version(version)}
    told = [one for advisory in advisories(tmp_path) for one in concerned(advisory, lock)]
    assert told == ([f"some-package {version}: X-1 bad"] if is_concerned else [])


def test_without_advisories_it_says_that_it_knows_none(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    assert "nothing is said of known vulnerabilities" in capsys.readouterr().out
