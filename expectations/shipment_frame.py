"""The frame of shipments: the rows of a table that says what was routed or sent.

As in `expectations.frames`, building never raises and never judges.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from expectations.cells import Kind, column, raw, text
from expectations.seller_frames import quantity_of

SHIPMENT_COLUMNS: dict[str, Kind] = {
    "row_key": Kind.TEXT,
    "row": Kind.NUMBER,
    "channel": Kind.TEXT,
    "order_id": Kind.TEXT,
    "sku": Kind.TEXT,
    "shipment": Kind.TEXT,
    "units": Kind.NUMBER,
    "quantity_raw": Kind.TEXT,
    "form": Kind.TEXT,
    "ahead": Kind.NUMBER,
    "readable": Kind.FLAG,
    "channel_known": Kind.FLAG,
    "order_known": Kind.FLAG,
    "sku_known": Kind.FLAG,
    "step_known": Kind.FLAG,
    "location_known": Kind.FLAG,
    "once": Kind.FLAG,
    "unchanged": Kind.FLAG,
}


@dataclass(frozen=True, slots=True)
class ShipmentRow:
    """One row; `quantity` as written, None: the row could not be read."""

    row: int
    step: str
    shipment: str
    channel: str
    order_id: str
    sku: str
    """As the ledger spells it, or as written if it is no SKU of ours."""
    quantity: str | None
    location: str
    ahead: float
    """Seconds from now to when it was sent, negative in the past; NaN: cannot be read."""
    channel_known: bool
    order_known: bool
    sku_known: bool
    step_known: bool
    """The step is one of the two, and one that is allocated has a location."""
    location_known: bool
    """Or none is named."""
    unchanged: bool
    """The shipment has not said another quantity of it."""

    @property
    def key(self) -> tuple[str, ...]:
        return (self.step, self.shipment, self.channel, self.order_id, self.sku, self.location)


def shipments_frame(rows: Iterable[ShipmentRow]) -> pd.DataFrame:
    given = list(rows)
    times = Counter(row.key for row in given if row.quantity is not None)
    made: list[dict[str, object]] = []
    for row in given:
        quantity, form = quantity_of(row.quantity if row.quantity is not None else "")
        words = (text(row.channel), text(row.order_id), text(row.sku), text(row.shipment))
        named = row.quantity is not None and all(words)
        key = f"{row.channel}/{row.order_id}/{row.sku}/{row.step}/{row.shipment}@{row.location}"
        made.append(
            {
                "row_key": key if named else f"row[{row.row}]",
                "row": float(row.row),
                "channel": words[0],
                "order_id": words[1],
                "sku": words[2],
                "shipment": words[3],
                "units": quantity,
                "quantity_raw": raw(row.quantity),
                "form": form.value,
                "ahead": row.ahead if math.isfinite(row.ahead) else math.nan,
                "readable": row.quantity is not None,
                "channel_known": row.channel_known,
                "order_known": row.order_known,
                "sku_known": row.sku_known,
                "step_known": row.step_known,
                "location_known": row.location_known,
                "once": times[row.key] <= 1 or not named,
                "unchanged": row.unchanged,
            }
        )
    return pd.DataFrame(
        {name: column([row[name] for row in made], kind) for name, kind in SHIPMENT_COLUMNS.items()},
        index=pd.RangeIndex(len(made)),
    )
