"""From a seller's tables to channels that may go live."""
