"""Stock that moves without a sale: receipts, returns, transfers, shipments, adjustments, write-offs."""
