"""The reservation API in a process that is killed after a commit and before its answer: `… URL PORT`.

SIGKILL strikes once the transaction that decides a key or an order beginning with `fatal` is on the disk.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from reservation_stage import real_clock, tokens
from sqlalchemy import Connection, text

from adapters.database import create_engine, in_transaction
from onhand.services.reservation_api import create_app
from onhand.services.reservation_desk import Desk

FATAL = text("SELECT count(*) FROM reservation WHERE holder LIKE 'hold:web:fatal%' OR order_id LIKE 'fatal%'")


def main(url: str, port: int) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        before = connection.execute(FATAL).scalar_one()

    def transact(work: Callable[[Connection], Any]) -> Any:
        done = in_transaction(engine, work)
        with engine.connect() as connection:
            if connection.execute(FATAL).scalar_one() > before:
                os.kill(os.getpid(), signal.SIGKILL)
        return done

    uvicorn.run(create_app(Desk(transact, real_clock), tokens()), host="127.0.0.1", port=port, log_level="critical")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
