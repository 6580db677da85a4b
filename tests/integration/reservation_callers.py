"""Many callers of the reservation API at once: `reservation_callers.py URL CALLERS SKUS`, each in a thread.

Every caller asks for one unit of each SKU, in an order of its own; a third of the requests is sent twice at the same
moment, on another connection. Of what it got it releases some and commits the rest. Prints JSON: what was told.
"""

import json
import random
import sys
import threading
from collections import Counter

from reservation_stage import Caller


def main(url: str, callers: int, skus: int) -> dict[str, object]:
    told: list[tuple[str, str, int]] = []
    kept: Counter[str] = Counter()
    errors: list[str] = []

    def ask(caller: Caller, key: str, sku: str) -> int:
        answer = caller.ask(key, (sku, 1))
        told.append((key, sku, answer.status_code))
        return answer.status_code

    def run(number: int) -> None:
        chance = random.Random(number)
        wanted = list(range(skus))
        chance.shuffle(wanted)
        with Caller(url) as one, Caller(url) as other:
            for sku in wanted:
                key, name = f"{number}-{sku}", f"R{sku}"
                twin = threading.Thread(target=ask, args=(other, key, name)) if chance.random() < 0.33 else None
                if twin:
                    twin.start()
                status = ask(one, key, name)
                if twin:
                    twin.join()
                if status == 409:
                    continue
                if chance.random() < 0.3:
                    assert one.release(key).json()["outcome"] == "released"
                else:
                    assert one.commit(key, key).json()["outcome"] == "committed"
                    kept[name] += 1

    def guarded(number: int) -> None:
        try:
            run(number)
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}"[:300])

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = Counter(status for _, _, status in told)
    created = Counter(key for key, _, status in told if status == 201)
    return {
        "statuses": statuses,
        "created_twice": [k for k, n in created.items() if n > 1],
        "kept": kept,
        "errors": errors,
    }


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], *map(int, sys.argv[2:]))))
