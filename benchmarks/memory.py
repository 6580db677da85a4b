"""How much memory this process has used at most."""

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_mb() -> float:
    """Megabytes, since this program began. `ru_maxrss` begins with the memory of whoever started the process, so it
    serves only where there is nothing better."""
    if _STATUS.exists():
        (peak,) = (line.split()[1] for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
