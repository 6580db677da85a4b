"""An intake that kills itself when it has committed and before it answers; and the vendor that sends to it."""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import httpx

from adapters.database import create_engine
from benchmarks.webhook_apps import CHANNEL, HmacReceiver
from benchmarks.webhook_client import burst, sign
from onhand.services import intake
from onhand.services.serve import serving


def main(url: str) -> None:
    write = intake.Intake._write

    def write_and_die(self: Any, notices: Sequence[Any]) -> Any:
        write(self, notices)
        os.kill(os.getpid(), signal.SIGKILL)

    intake.Intake._write = write_and_die  # type: ignore[method-assign]
    body = next(one.body for one in burst(100, 0) if one.event_id == "event-1")
    threading.Timer(30, os._exit, (3,)).start()
    with serving(intake.create_app(create_engine(url), {CHANNEL: HmacReceiver()})) as address:
        httpx.post(f"{address}/webhooks/{CHANNEL}", content=body, headers={"x-signature": sign(body)}, trust_env=False)


main(sys.argv[1])
