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
    """Decides whether a reversal puts units back (see `inventory.reversals`)."""

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
