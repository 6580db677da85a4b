"""From a seller's tables and a channel's catalogue to listings that may go live."""
