"""Where the units of a reversed sale go. One table; no other place decides it.

A unit that the seller could not find, or that broke, must not come back as stock because the order was
cancelled; a unit whose channel did not put it back waits for a person to look at it.
"""

from inventory.words import ReversalKind, ReversalReason, StockState

_BY_REASON = {
    ReversalReason.INVENTORY: StockState.QUARANTINED,
    ReversalReason.DAMAGED: StockState.DAMAGED,
    # Never paid, so never packed: whatever the channel did with its own number, the unit is on the shelf.
    ReversalReason.PAYMENT: StockState.AVAILABLE,
}


def destination(kind: ReversalKind, reason: ReversalReason, restocked: bool | None) -> StockState:
    """The state that held units move to. `restocked`: what the channel did with its own number, if told.

    A return has been in a customer's hands: unless the channel says that it was restocked, it is
    quarantined until somebody has inspected it. Units of a sale that was never sent are simply free again.
    """
    if reason in _BY_REASON:
        return _BY_REASON[reason]
    if restocked is False:
        return StockState.QUARANTINED
    if kind is ReversalKind.RETURN and restocked is not True:
        return StockState.QUARANTINED
    return StockState.AVAILABLE
