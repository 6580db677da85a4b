"""A seller's own order history under each policy."""
