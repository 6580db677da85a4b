"""One process with a Batcher of its own: `batchers.py URL SKUS FIRST_CLIENT CLIENTS`. Prints how many were held.

Every client asks once for one unit of each SKU, in its own order.
"""

import json
import random
import sys
import threading
from datetime import timedelta
from functools import partial

from ledger_stage import at

from adapters.database import create_engine, in_transaction
from inventory.holds.batching import Batcher
from inventory.holds.reservations import HoldRequest, HoldStatus


def main(url: str, skus: int, first: int, count: int) -> int:
    engine = create_engine(url)
    held: list[int] = []

    def client(number: int) -> None:
        wanted = list(range(skus))
        random.Random(number).shuffle(wanted)
        asked = (HoldRequest(f"{number}-{one}", "web", ((f"R{one}", 1),), timedelta(hours=9)) for one in wanted)
        held.append(sum(batcher.submit(request, 60).status is HoldStatus.HELD for request in asked))

    with Batcher(partial(in_transaction, engine), lambda: at(1)) as batcher:
        threads = [threading.Thread(target=client, args=(number,)) for number in range(first, first + count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    engine.dispose()
    assert len(held) == count
    return sum(held)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], *map(int, sys.argv[2:]))))
