"""The figures of `make faults` as a page of the documentation."""

from collections.abc import Mapping
from typing import Any

_HEAD = """\
# Faults

What becomes of a running stack when a part of it is broken. This page is written by `make faults`
(`tests/end_to_end/break_everything.py`). It starts one real stack with `onhand up --no-shops` between imitated vendors
in processes of their own, trades in three of their shops all the time, and breaks one part after the other. Two shops
are blind (Shopify, eBay), one asks first (a website). When a fault strikes, while it lasts and after it, two buyers in
each shop come at one instant for the last units of a SKU. Policy `strict`, webhooks on, polls every five seconds,
watchdog and fallback as in `prefect.yaml`.

- **noticed**: from the fault to its first trace: a line of the supervisor or in the logs, an incident, a failure that
  was counted, a state.
- **recovered**: from the end of the fault (of a kill: from the kill) until the last order that was placed after it and
  had to wait for long was known to all other channels; where none had to, until the first one was. Long is more than
  three seconds, on a busy machine more than twice what 95 % need while nothing is broken. Orders are placed for this
  each second, for 25 s or longer.
- **longest**: of those orders, the longest time from the sale to all other channels.
- **drained**: as recovered, until nothing of that time waited in outbox or inbox. It is looked for after those 25 s.
- **oversold**: units sold beyond the stock, by the shops' own books. **lost**: order lines of the shops that the ledger
  has not or has otherwise, and units not held. **twice**: lines and held units that only the ledger has. **unproved**:
  balances that are not the sum of their journal.
"""

_TAIL = """\

## What comes back by what

| what | by what |
|---|---|
| a child of the stack | its supervisor looks twice a second and starts it again, in growing pauses |
| a flow run that was killed | `onhand up` looks every three seconds which shift is missing, and starts it |
| what a killed run was at | the next run frees the claims of runs that have ended, as Prefect knows |
| PostgreSQL | the supervisor, and its own recovery; tasks try again, and a slice that fails ends no shift |
| a channel | pulls and pushes fail and are counted; the first complete pull ends it ([outages](outages.md)) |

A shift (a scheduled deployment whose runs go on for `minutes`) that is missing runs until its next scheduled run; so it
is, too, after a start of the machine. One that dies again and again is started in growing pauses; one that somebody
cancelled stays so until the next. A run whose worker died with it has nobody to say so: where no process of it is left
on this machine, it is said to have crashed. Without Prefect's answer the claims of the dead end after two minutes.

When a worker or the warm server is killed all runs end at once, and all shifts begin again side by side: so these rows
are longer. Prefect's own automations made it minutes on SQLite, because they blocked its server; the embedded stack
does without them.

With Prefect, workers and services on machines of their own their supervisors (systemd, Kubernetes) do the first of
these, and shifts that were killed begin again at their next schedule, a quarter of an hour later at most.
"""


def page(result: Mapping[str, Any]) -> str:
    """`result` as `break_everything` writes it."""
    machine, quiet, load = result["machine"], result["quiet"], result["load"]
    kept = "All promises were kept." if result["kept"] else "**Promises were broken.**"
    told = (
        f"\n## The figures\n\nMeasured {result['at'][:10]} on {machine['cores']} cores ({machine['system']}, Python "
        f"{machine['python']}) in {result['minutes']} minutes, beside other work: the load was {load['before']:.1f} "
        f"before and {load['after']:.1f} after it, so the times are above what an idle machine needs. "
        f"{result['disk']}. While nothing was broken a sale was known to all other channels after "
        f"{quiet['p50']:.1f} s (half of {quiet['orders']} orders) and {quiet['p95']:.1f} s (95 %), so "
        f"that more than {quiet['slow']:.1f} s counts as long. "
        f"{result['orders']['placed']} orders were placed in all, {result['orders']['cancelled']} of them cancelled; "
        f"{result['orders']['refused']} buyers got nothing. {kept}\n\n"
    )
    heads = ("fault", "noticed s", "recovered s", "longest s", "drained s", "load", "orders")
    heads += ("oversold", "lost", "twice", "unproved")
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    rows += [_row(one) for one in result["faults"]]
    ending = ["\nAt the end, after the last order had reached every shop:\n", "| promised | found | |", "|---|---|---|"]
    ending += [
        f"| {line['what']} | {line['figure']} | {'kept' if line['kept'] else 'broken'} |"
        for line in result["end"]
        if line["kept"] is not None
    ]
    still = result["still_open"]
    opened = f"\nIncidents open at the end: {'; '.join(still) or 'none'}.\n"
    return _HEAD + told + "\n".join(rows) + "\n" + "\n".join(ending) + "\n" + opened + _TAIL


def _row(one: Mapping[str, Any]) -> str:
    times = " | ".join(_seconds(one[name]) for name in ("noticed", "recovered", "longest", "drained", "load"))
    books = [one[name] for name in ("oversold", "lost", "doubled", "unproved")]
    counts = " | ".join("?" if count is None else str(count) for count in books)
    broken = "" if one["kept"] else f" **broken**: {one['problem'] or 'see the figures'}"
    return f"| {one['name']}{broken} | {times} | {one['orders']} | {counts} |"


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f}"
