"""The words of the field, once. Every table, message and form uses these and no synonyms.

On hand = available + reserved + allocated + damaged + quarantined. The *outside accounts* are the
other side of every movement that brings units in or takes them out; they may be negative.
"""

from enum import StrEnum


class StockState(StrEnum):
    """Where a unit is. The first seven are physical and never negative."""

    INBOUND = "inbound"
    IN_TRANSIT = "in_transit"
    AVAILABLE = "available"
    RESERVED = "reserved"
    ALLOCATED = "allocated"
    DAMAGED = "damaged"
    QUARANTINED = "quarantined"
    # Outside accounts.
    SUPPLIER = "supplier"
    SHIPPED = "shipped"
    WRITTEN_OFF = "written_off"
    COUNT_GAIN = "count_gain"
    COUNT_LOSS = "count_loss"


OUTSIDE_ACCOUNTS = frozenset(
    {
        StockState.SUPPLIER,
        StockState.SHIPPED,
        StockState.WRITTEN_OFF,
        StockState.COUNT_GAIN,
        StockState.COUNT_LOSS,
    }
)

ON_HAND = (
    StockState.AVAILABLE,
    StockState.RESERVED,
    StockState.ALLOCATED,
    StockState.DAMAGED,
    StockState.QUARANTINED,
)


class MovementReason(StrEnum):
    """Why units moved. Free text goes into the movement's reference, never here."""

    SALE = "sale"
    HOLD = "hold"
    RELEASE = "release"
    EXPIRY = "expiry"
    ALLOCATION = "allocation"
    SHIPMENT = "shipment"
    CANCELLATION = "cancellation"
    RETURN = "return"
    RESTOCK = "restock"
    RECEIPT = "receipt"
    ADJUSTMENT = "adjustment"
    TRANSFER = "transfer"
    COUNT = "count"
    WRITE_OFF = "write_off"
    DAMAGE = "damage"
    QUARANTINE = "quarantine"
    APP_SYNC = "app_sync"


class ReservationKind(StrEnum):
    ORDER = "order"
    """A sale that a channel has already made. Never refused; what is short is oversold."""
    HOLD = "hold"
    """A channel that asks before it sells. Refused when it does not fit."""


class ReservationStatus(StrEnum):
    """`live` is the only status that holds units; the others are terminal."""

    LIVE = "live"
    REFUSED = "refused"
    RELEASED = "released"
    EXPIRED = "expired"
    SHIPPED = "shipped"
    SOLD = "sold"
    """A hold whose order has arrived and taken its units over."""


class ReversalKind(StrEnum):
    CANCELLATION = "cancellation"
    REFUND = "refund"
    RETURN = "return"


class ReversalReason(StrEnum):
    """Decides whether a reversal puts units back (see `inventory.orders.reversals`)."""

    CUSTOMER = "customer"
    PAYMENT = "payment"
    FRAUD = "fraud"
    INVENTORY = "inventory"
    """The seller could not find the unit: never a restock, always a count."""
    DAMAGED = "damaged"
    OTHER = "other"


class WriteMode(StrEnum):
    """How a channel takes a quantity."""

    COMPARE_AND_SET = "compare_and_set"
    ABSOLUTE = "absolute"


class ChannelMode(StrEnum):
    SHADOW = "shadow"
    """Read only: what it may sell is counted, nothing is sent to it."""
    DRY_RUN = "dry_run"
    """As shadow, and what it would be sent is computed and shown."""
    LIVE = "live"


class InboxStatus(StrEnum):
    PENDING = "pending"
    APPLIED = "applied"
    QUARANTINED = "quarantined"


class NoticeStatus(StrEnum):
    PENDING = "pending"
    READ = "read"
    """What it names was read from the channel and stored."""
    LEFT = "left"
    """The channel did not show what it names, however often it was asked: left to polling."""


class IntakeOutcome(StrEnum):
    """What became of a message at the intake, and what polling says about it."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    UNREADABLE = "unreadable"
    """Its signature is right, its content is not understood: the channel is polled."""
    FORGED = "forged"
    EXPIRED = "expired"
    """Signed too long ago, or in the future: somebody may be playing an old message again."""
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    NOT_STORED = "not_stored"
    """The ledger was away or the intake was full; the channel was told to come again."""
    COMPARED = "compared"
    """An event that was compared with the notices."""
    MISSED = "missed"
    """Of those, an event that no notice told of."""


class PublicationStatus(StrEnum):
    """`sent` is on its way; `unconfirmed` means the answer never came and the worst case counts."""

    SENT = "sent"
    CONFIRMED = "confirmed"
    STALE = "stale"
    REJECTED = "rejected"
    UNCONFIRMED = "unconfirmed"


class DiscrepancyClass(StrEnum):
    STALE = "stale"
    MISMATCH = "mismatch"
    DELAYED = "delayed"
    FOREIGN_WRITE = "foreign_write"
    BAD_COUNT = "bad_count"


class Comparison(StrEnum):
    """What the ledger is held against."""

    QUANTITIES = "quantities"
    ORDERS = "orders"
    WAREHOUSE = "warehouse"
    LEDGER = "ledger"
    """Against itself."""


class Drift(StrEnum):
    """What differs, beside its class."""

    QUANTITY = "quantity"
    MISSED_ORDER = "missed_order"
    """The channel has it, the ledger has not."""
    PHANTOM_ORDER = "phantom_order"
    """The ledger has it, the channel denies it."""
    CHANGED_ORDER = "changed_order"
    COUNT = "count"
    BALANCE = "balance"
    RESERVED = "reserved"
    EXPOSURE = "exposure"
    GUARD = "guard"
    NEGATIVE = "negative"
    ORPHANED_HOLD = "orphaned_hold"
    """Units that a reservation holds which is over, or holds past its time and unswept."""
    DOUBLED_HOLD = "doubled_hold"
    """One order holds units twice: its own and those of the hold that it came from."""
    UNMATCHED_LINES = "unmatched_lines"
    """What a reservation holds is not what was ordered, or not what its movements say."""
    STUCK = "stuck"
    """It waits in the inbox or the outbox and nobody works on it."""


class DiscrepancyStatus(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """Why a discrepancy is no more."""

    AGREES = "agrees"
    """Both sides say the same again, and nothing was done for it."""
    HEALED = "healed"
    EXPLAINED = "explained"
    """Something read later tells why they differed: an order, a movement."""
    BY_PERSON = "by_person"
    LISTING_DROPPED = "listing dropped"


class Severity(StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class IncidentKind(StrEnum):
    """What a person must look at. One open incident a kind and subject; repeats raise its count."""

    OVERSOLD = "oversold"
    EXCESS_REVERSAL = "excess_reversal"
    UNMATCHED_REVERSAL = "unmatched_reversal"
    UNIT_NOT_FOUND = "unit_not_found"
    EXPOSURE_EXCEEDED = "exposure_exceeded"
    QUARANTINED_ROWS = "quarantined_rows"
    BATCH_BLOCKED = "batch_blocked"
    PAGE_UNREADABLE = "page_unreadable"
    UNCONFIRMED = "unconfirmed"
    REJECTED = "rejected"
    FOREIGN_WRITE = "foreign_write"
    DRIFT = "drift"
    NEGATIVE_STOCK = "negative_stock"
    LEDGER_MISMATCH = "ledger_mismatch"
    CATALOGUE = "catalogue"
    """A channel's own settings make its numbers meaningless: not tracked, oversell allowed, …"""
    CREDENTIALS = "credentials"
    WEBHOOK_GAP = "webhook_gap"
    CHANNEL_DARK = "channel_dark"
    """A channel's orders were not read for longer than its own interval allows."""
    POLICY_REVIEW = "policy_review"
    """Somebody wanted to look at the policy in force again until a day that is past."""
    WRITE_CONFLICT = "write_conflict"
    """Somebody else changes a listing's number back as often as we set it."""
    PHANTOM_ORDER = "phantom_order"
    """The ledger holds units for an order that the channel denies."""
    DISCREPANCY = "discrepancy"
    """Discrepancies stay open for longer than they should."""
    COUNT_APPROVAL = "count_approval"
    """A count differs by more than may be adjusted without a person."""
    COUNT_OVERDUE = "count_overdue"
    """Bins that were not counted within the time promised."""
    SHRINKAGE = "shrinkage"
    """More is missing from the shelves than the target allows."""
    TARGET_MISSED = "target_missed"
    """A figure of the health report is beyond its limit."""
    TRANSFER_STUCK = "transfer_stuck"
    """Units that were sent to another location should have arrived and have not."""
    INBOUND_LATE = "inbound_late"
    """A supplier promised units for a day that is past."""
    RETURNS_WAITING = "returns_waiting"
    """Returned units lie uninspected for too long."""
    SHIPMENT_HELD = "shipment_held"
    """Units are said to have been routed or sent that the ledger does not have for that order."""
    SUPPLIER_FEED = "supplier_feed"
    """A supplier's feed cannot be read, or says nothing new for too long."""
    NOT_RUNNING = "not_running"
    """A part of onhand was silent for longer than its own interval allows."""
    RUN_FAILED = "run_failed"
    """Prefect says that a flow run crashed, failed, never started or has lost its process."""
    NOT_TOLD = "not_told"
    """A target of alerts takes no messages."""
    APPROVAL_WANTED = "approval_wanted"
    """A run waits for somebody who may approve what its actor may not do alone."""
    PAUSE_UNFINISHED = "pause_unfinished"
    """A channel was to be taken off sale or put back, and the switch could not be turned."""
    FALLBACK = "fallback"
    """The fallback ladder took a step for a channel in trouble, or can do nothing about it."""
    SOURCE_DARK = "source_dark"
    """A warehouse, an ERP or a supplier was not heard of for longer than its own interval allows."""


class FindingKind(StrEnum):
    """What a catalogue audit may find about one listing."""

    UNTRACKED = "untracked"
    OVERSELL_ALLOWED = "oversell_allowed"
    NOT_STOCKED = "not_stocked"
    FULFILLED_BY_CHANNEL = "fulfilled_by_channel"
    UNMAPPED = "unmapped"
    EMPTY_SKU = "empty_sku"
    DUPLICATE_SKU = "duplicate_sku"
    GONE = "gone"
    UNREADABLE = "unreadable"
    NOT_ON_SALE = "not_on_sale"
    NO_STOCK_KEPT = "no_stock_kept"
    """Postage, gift cards: on the list of codes that move no stock."""


class FindingSeverity(StrEnum):
    """A blocker keeps the channel from going live."""

    BLOCKER = "blocker"
    WARNING = "warning"
    INFO = "info"


class CountStatus(StrEnum):
    """Of one bin that is to be counted. The last three are terminal."""

    OPEN = "open"
    RECOUNT = "recount"
    """Counted, and to be counted again by another person."""
    AWAITING_APPROVAL = "awaiting_approval"
    MATCHED = "matched"
    ADJUSTED = "adjusted"
    REJECTED = "rejected"
    """A person did not believe the counts: nothing was posted, and the bin is as good as never counted."""


class CountCause(StrEnum):
    """Why a bin is to be counted now."""

    DUE = "due"
    """Its turn: the longest uncounted."""
    VALUE = "value"
    VELOCITY = "velocity"
    ERROR_HISTORY = "error_history"
    DRIFT = "drift"
    ZERO_SALES = "zero_sales"
    """It used to sell, there is stock by the ledger, and no more is sold."""
    OVERSELL = "oversell"
    """A unit could not be found, or more was sold than there was."""
    LATE_MOVEMENT = "late_movement"
    """What had happened before the last count was recorded after it."""
    REJECTED = "rejected"
    """The last count was not believed, or could not be posted whole."""
    ASKED = "asked"
    """A person asked for it."""


class PauseOwner(StrEnum):
    """Whose a pause is. Only its own kind lifts it: onhand its own, a person a person's and onhand's."""

    ONHAND = "onhand"
    PERSON = "person"
    PLATFORM = "platform"
    """The vendor took the channel off sale; it alone puts it back."""


class PauseStatus(StrEnum):
    """Every one but `lifted` is open: nothing is raised on the channel."""

    TURNING = "turning"
    """The switch is being turned; what the channel shows may still be sold."""
    PAUSED = "paused"
    LIFTING = "lifting"
    """The switch is being turned back; what the channel shows may be sold again."""
    LIFTED = "lifted"


class ApprovalStatus(StrEnum):
    ASKED = "asked"
    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    """Nobody decided in time: nothing was done."""


class AdjustmentReason(StrEnum):
    """Why a person changes stock by hand. Decides where the units come from or go to."""

    MISCOUNT = "miscount"
    FOUND = "found"
    LOST = "lost"
    DAMAGED = "damaged"
    QUARANTINED = "quarantined"
    WRITTEN_OFF = "written_off"
    SUPPLIER = "supplier"
    """A delivery held more or fewer than was booked."""
    DATA_ERROR = "data_error"
