"""Which rows of a judged push may leave: the gate knows direction.

Withholding a push is not safe by itself. It leaves the old number on sale, and if stock has gone meanwhile the old
number is too high and somebody sells what is not there. So the two directions are not alike:

    a raise held too long     loses a sale that could have been made
    a decrease held too long  sells a unit that does not exist

`pass`, `partial`: every row but the quarantined. A quarantined row is wrong in itself (we do not know which listing
it is for, or what its number is, or the number is more than there is); there is nothing to be sent *instead*, so
it is held, a decrease too, and `safe_value_due` says when it has been held for too long.

`block`: the rows may each look right while the batch, or one channel's part of it, cannot be believed; the other
channels' rows are as under `partial`. Of those that cannot be believed raises wait for a person, and so
does what might be a raise because nobody knows what is live. Sound decreases go: at worst a sale is lost.
Except that a mass of zeros is itself a way to fail (a feed that came back empty takes the shop off sale). So under
the wipe guard a zero goes only if the ledger says on its own account that what is on sale now is not backed
(`must_lower`); decreases to something above zero go. A number that is as it was waits: it changes nothing.

`error`: nobody has judged the batch, and the wipe guard neither. The rows are looked at with the plain masks, each by
itself. Of the sound ones only those leave that lower an exposure which is not backed: a fault of the gate must not
turn into oversold units, nor into a batch that nobody looked at. A frame of the wrong schema has no sound rows.

In no case leaves a row that a quarantining rule fails.
"""

from datetime import datetime, timedelta

import pandas as pd

from expectations.outgoing_push import NAME, WIPE_GUARD, lowers, safe_zero
from expectations.verdict import Status, Verdict

SAFE_VALUE = 0
"""What a listing falls to when its truth stays unknown."""


def released(frame: pd.DataFrame, verdict: Verdict) -> pd.DataFrame:
    """The rows of the judged frame that may be sent, with their labels; the others are held.

    Raises ValueError for the verdict of another suite or of another frame.
    """
    if verdict.suite != NAME:
        raise ValueError(f"{verdict.suite} is not about a push; its rows that pass are `verdict.passing(frame)`")
    verdict.require_rows(frame)
    sound = pd.Series(~frame.index.isin(list(verdict.failed_rows)), index=frame.index)
    if verdict.status in (Status.PASS, Status.PARTIAL):
        return frame.loc[sound]
    if not sound.any():
        # With a wrong schema no row is sound, and the columns that tell the direction may be missing.
        return frame.iloc[0:0]

    def under(*rules: str) -> pd.Series:
        """The rows that a blocking rule (one of these) holds for unbelievable."""
        found = [label for label, ids in verdict.blocked_rows.items() if not rules or set(rules) & set(ids)]
        return pd.Series(frame.index.isin(found), index=frame.index)

    lowering = lowers(frame) & (frame["previous"].notna() | safe_zero(frame))
    if verdict.status is Status.ERROR:
        lowering &= frame["must_lower"]
        return frame.loc[lowering & sound]
    lowering &= (frame["quantity"] > 0) | frame["must_lower"] | ~under(WIPE_GUARD)
    return frame.loc[sound & (lowering | ~under())]


def held(frame: pd.DataFrame, verdict: Verdict) -> pd.DataFrame:
    """The rows that `released` holds back."""
    gone = frame.index.isin(released(frame, verdict).index)
    return frame.loc[~gone]


def safe_value_due(held_since: datetime, now: datetime, after: timedelta) -> bool:
    """Whether a row held since then must fall to `SAFE_VALUE` by now. The zero is a push like any other, with
    `must_lower` set, and passes the gate for what it is. Instants are aware (ValueError otherwise)."""
    if held_since.utcoffset() is None or now.utcoffset() is None:
        raise ValueError("an instant needs its offset")
    return now - held_since >= after
