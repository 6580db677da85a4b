"""The system account that a database server runs under.

PostgreSQL refuses to run as root. An ordinary user runs it as themselves; root lends it to an account
that exists everywhere already, because making one would change the machine.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

_LENT_BY_ROOT = ("postgres", "nobody")


class Switch(TypedDict, total=False):
    """Arguments of `subprocess.run` that change the account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class ServerAccount:
    uid: int
    gid: int

    @classmethod
    def for_folder(cls, folder: Path) -> "ServerAccount":
        """The account for a cluster in `folder`: its owner if root finds one there already."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        if folder.exists() and (found := folder.stat()).st_uid != 0:
            return cls(found.st_uid, found.st_gid)
        for name in _LENT_BY_ROOT:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid)
        raise RuntimeError("PostgreSQL cannot run as root and there is no account `nobody`: run as an ordinary user")

    @property
    def is_lent(self) -> bool:
        return self.uid != os.geteuid()

    def switch(self) -> Switch:
        return Switch(user=self.uid, group=self.gid, extra_groups=[]) if self.is_lent else Switch()

    def give(self, path: Path) -> None:
        if self.is_lent:
            os.chown(path, self.uid, self.gid)

    def open_way(self, home: Path, binaries: Path) -> None:
        """Let a lent account pass through the folders above `home` and read `binaries`.

        Only what is missing is granted: passing through (`o+x`) on the way, never reading, and
        reading for the server's own installation.
        """
        if not self.is_lent:
            return
        for path in (home, *home.parents, *binaries.parents):
            self._grant(path, stat.S_IXOTH)
        installation = binaries.parent
        libraries = installation.parent.parent / f"{installation.parent.name}.libs"
        for root in (installation, libraries):
            for path in (root, *root.rglob("*")):
                runnable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
                self._grant(path, stat.S_IROTH | (stat.S_IXOTH if runnable else 0))

    def _grant(self, path: Path, bits: int) -> None:
        found = path.stat()
        mine = bits << 6 if found.st_uid == self.uid else bits << 3 if found.st_gid == self.gid else bits
        if found.st_mode & mine != mine:
            path.chmod(found.st_mode | mine)
