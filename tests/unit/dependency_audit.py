"""What is known of the packages that onhand stands on: `python tests/unit/dependency_audit.py [--advisories FOLDER]`.

Without a network: every package of the lock is pinned, with hashes; what is installed is the lock and nothing else; the
packages fit together (`pip check`); every licence is one of those below. With a folder of advisories, one JSON file
each in OSV's form (osv.dev hands them out by ecosystem as one archive), the locked versions are held against them.
Without such a folder it knows of no vulnerability, and says so.
"""

import argparse
import importlib.metadata
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
OURS = "onhand"
BOOTSTRAP = {"pip", "setuptools", "wheel"}
"""What makes an environment brings these along."""

LICENCES = re.compile(
    r"0BSD|Apache|Artistic|BSD|CC0|CNRI|DFSG|ISC|LGPL|MIT|Mozilla|MPL|PSF|Python Software|Unlicense|Zlib|ZPL",
    re.IGNORECASE,
)
"""Licences that let an application use a package unchanged, as it is installed. LGPL: psycopg, loaded as a library."""
CHOSEN = {"text-unidecode": "offered under the Artistic Licence or the GPL; the former is taken"}


def locked(text: str) -> tuple[dict[str, Version], list[str]]:
    """{package: version} for this Python and system, and what is wrong with the lock."""
    found: dict[str, Version] = {}
    wrong: list[str] = []
    for block in re.split(r"\n(?=\S)", text.strip()):
        line = re.sub(r"\\\n|(?m:^\s*#.*$)", " ", block).strip()
        if not line or line.startswith("#"):
            continue
        stated, _, hashes = line.partition("--hash=")
        try:
            requirement = Requirement(stated.strip())
        except InvalidRequirement:
            wrong.append(f"{stated.strip()[:60]!r} is no requirement")
            continue
        pins = [one for one in requirement.specifier if one.operator == "==" and "*" not in one.version]
        if requirement.url or len(pins) != 1 or len(requirement.specifier) != 1:
            wrong.append(f"{requirement.name} is not pinned to one version")
        elif not re.fullmatch(r"(sha256:[0-9a-f]{64}\s*(--hash=)?)+", hashes):
            wrong.append(f"{requirement.name} has no sha256")
        elif requirement.marker is None or requirement.marker.evaluate():
            found[canonicalize_name(requirement.name)] = Version(pins[0].version)
    return found, wrong


def installed() -> dict[str, Version]:
    return {canonicalize_name(one.metadata["Name"]): Version(one.version) for one in importlib.metadata.distributions()}


def differences(lock: Mapping[str, Version], there: Mapping[str, Version]) -> Iterator[str]:
    for name in sorted(there.keys() - lock.keys() - BOOTSTRAP - {OURS}):
        yield f"{name} {there[name]} is installed and not in the lock"
    for name in sorted(lock.keys() - there.keys()):
        yield f"{name} {lock[name]} is in the lock and not installed"
    for name in sorted(lock.keys() & there.keys()):
        if lock[name] != there[name]:
            yield f"{name} {there[name]} is installed, {lock[name]} is in the lock"


def licence_of(package: importlib.metadata.PackageMetadata) -> str:
    """As the package itself says it; empty where it does not."""
    classifiers = [one.split(" :: ")[-1] for one in package.get_all("Classifier") or [] if one.startswith("License")]
    stated = package.get("License-Expression") or " | ".join(classifiers) or package.get("License") or ""
    return stated.strip().splitlines()[0][:100] if stated.strip() else ""


def strange_licences(lock: Mapping[str, Version]) -> Iterator[str]:
    for one in importlib.metadata.distributions():
        name, licence = canonicalize_name(one.metadata["Name"]), licence_of(one.metadata)
        strict = re.search(
            r"\b(A?GPL|General Public)", licence.replace("LGPL", "").replace("Lesser General Public", "")
        )
        if name in lock and name not in CHOSEN and (strict or not LICENCES.search(licence)):
            yield f"{name}: {licence or 'says no licence'}"


def advisories(folder: Path) -> Iterator[Mapping[str, Any]]:
    for file in sorted(folder.rglob("*.json")):
        found = json.loads(file.read_text(encoding="utf-8"))
        yield from found if isinstance(found, list) else [found]


def concerned(advisory: Mapping[str, Any], lock: Mapping[str, Version]) -> Iterator[str]:
    """`package version: id`, for each locked version that the advisory is about and that was not withdrawn."""
    if advisory.get("withdrawn"):
        return
    for affected in advisory.get("affected", []):
        package = affected.get("package", {})
        name = canonicalize_name(str(package.get("name", "")))
        if package.get("ecosystem") == "PyPI" and name in lock and _is_affected(affected, lock[name]):
            yield f"{name} {lock[name]}: {advisory.get('id')} {str(advisory.get('summary', ''))[:80]}".strip()


def _is_affected(affected: Mapping[str, Any], version: Version) -> bool:
    if any(_version(one) == version for one in affected.get("versions", [])):
        return True
    for span in affected.get("ranges", []):
        inside = False
        for event in span.get("events", []) if span.get("type") == "ECOSYSTEM" else []:
            if (begins := _version(event.get("introduced"))) is not None and begins <= version:
                inside = True
            if (ends := _version(event.get("fixed"))) is not None and ends <= version:
                inside = False
            if (last := _version(event.get("last_affected"))) is not None and last < version:
                inside = False
        if inside:
            return True
    return False


def _version(text: Any) -> Version | None:
    try:
        return Version(str(text)) if text is not None else None
    except InvalidVersion:
        return None


def main(given: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--advisories", type=Path, help="a folder of advisories in OSV's form")
    folder: Path | None = options.parse_args(given).advisories
    lock, wrong = locked(LOCK.read_text())
    wrong += differences(lock, installed())
    wrong += (f"licence of {one}" for one in strange_licences(lock))
    checked = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    wrong += checked.stdout.splitlines() if checked.returncode else []
    if folder is not None:
        known = list(advisories(folder))
        wrong += (one for advisory in known for one in concerned(advisory, lock))
        print(f"{len(known):,} advisories held against the lock")
    else:
        print("no advisories were given (--advisories FOLDER): nothing is said of known vulnerabilities")
    print(f"{len(lock)} packages are locked with hashes")
    print("\n".join(wrong) if wrong else "nothing is wrong with them")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
