"""How whole units are divided. One place for it: the publisher and the replay split alike."""

from collections.abc import Sequence
from math import ceil, floor


def ideal_parts(units: int, weights: Sequence[float]) -> list[float]:
    """Each one's exact part. Without any weight, equal parts."""
    total = sum(weights)
    if total <= 0:
        return [units / len(weights) for _ in weights]
    return [units * weight / total for weight in weights]


def apportion(units: int, ideal: Sequence[float], owed: Sequence[float], kept: Sequence[int]) -> list[int]:
    """Split the whole units of one place. `owed`: what each should have got at the places before and did not.

    The odd unit stays with who has it already (`kept`: pieces exposed beyond what the places before give), so that
    the last unit of a SKU does not wander between channels; but nobody keeps the odd unit of every place, else
    who once has more would be entitled to ever more.
    """
    parts = [floor(part) for part in ideal]
    lacking = [round(exact + before - part, 9) for exact, before, part in zip(ideal, owed, parts, strict=True)]
    order = sorted(range(len(parts)), key=lambda i: (not (kept[i] > parts[i] and lacking[i] > 0), -lacking[i], i))
    for i in order[: units - sum(parts)]:
        parts[i] += 1
    return parts


def within(
    units: int, ideal: Sequence[float], owed: Sequence[float], kept: Sequence[int], most: Sequence[int | None]
) -> list[int]:
    """As `apportion`, but nobody gets more than its `most` (None: no limit), and the others get what that leaves."""
    free = list(range(len(ideal)))
    parts = [0] * len(ideal)
    left = units
    while free:
        weights = ideal_parts(left, [ideal[i] for i in free])
        found = apportion(left, weights, [owed[i] for i in free], [kept[i] for i in free])
        full = [i for i, part in zip(free, found, strict=True) if (limit := most[i]) is not None and part >= limit]
        if not full:
            for i, part in zip(free, found, strict=True):
                parts[i] = part
            break
        for i in full:
            parts[i] = most[i] or 0
            left -= parts[i]
        free = [i for i in free if i not in full]
    return parts


def divide(units: int, weights: Sequence[float], kept: Sequence[int]) -> list[int]:
    """Split what lies at one place by weight; who has the odd unit keeps it."""
    if not weights:
        return []
    return apportion(units, ideal_parts(units, weights), [0.0] * len(weights), kept)


def clearly_less(entitled: int, has: int) -> bool:
    """Whether so many fewer than entitled are worth taking units from others: small differences are left alone."""
    lacking = entitled - has
    return lacking > 0 and (has <= 0 or lacking >= max(2, ceil(entitled / 4)))
