"""An imitated eBay."""
