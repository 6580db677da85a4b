"""Every parser of outside data for as long as one likes: `python tests/unit/fuzz_parsers.py --seconds 600`.

Guided by coverage where `atheris` can be imported (it is no part of the environment: put it in a folder of its own and
name that in PYTHONPATH), else by chance. Stops at the first finding and prints what repeats it.
"""

import argparse
import importlib.util
import random
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WATCHED = ["adapters", "inventory", "expectations", "onhand.services", "tomllib", "parser_mutations"]
"""What is watched for coverage."""
MOVES = 3


def moves_of(numbers: Sequence[int]) -> list[tuple[int, int, int]]:
    return [(numbers[at], numbers[at + 1], numbers[at + 2]) for at in range(0, len(numbers) - 2, 3)]


def by_chance(seconds: float, seed: int) -> int:
    from test_parsers import PARSERS, try_one

    chance, end, tries = random.Random(seed), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        parser = chance.choice(PARSERS)
        numbers = [chance.randrange(2**16) for _ in range(3 * chance.randint(1, MOVES))]
        try_one(parser, chance.randrange(100), moves_of(numbers))
        tries += 1
    return tries


def guided(seconds: float, seed: int) -> None:
    import atheris

    with atheris.instrument_imports(include=WATCHED):
        from test_parsers import PARSERS, judged, try_one

    def one(data: bytes) -> None:
        provider = atheris.FuzzedDataProvider(data)
        parser = PARSERS[provider.ConsumeIntInRange(0, len(PARSERS) - 1)]
        try:
            if provider.ConsumeBool():
                judged(parser, provider.ConsumeBytes(provider.remaining_bytes()))
            else:
                sample, count = provider.ConsumeIntInRange(0, 99), provider.ConsumeIntInRange(1, MOVES)
                numbers = [provider.ConsumeIntInRange(0, 2**16 - 1) for _ in range(3 * count)]
                try_one(parser, sample, moves_of(numbers))
        except Exception:
            print(parser.name, file=sys.stderr)
            traceback.print_exc()
            raise

    limits = [f"-max_total_time={int(seconds)}", f"-seed={seed}", "-max_len=4096", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], *limits], one)
    atheris.Fuzz()


def main(given: Sequence[str] | None = None) -> int:
    options: Any = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--by-chance", action="store_true", help="without atheris, even where it is")
    found = options.parse_args(given)
    sys.path[:0] = [str(HERE), str(HERE.parents[1])]
    if importlib.util.find_spec("atheris") and not found.by_chance:
        guided(found.seconds, found.seed)
        return 0
    print(f"{by_chance(found.seconds, found.seed):,} tries, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main())
