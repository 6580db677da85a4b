"""Stock that moves without a sale."""
