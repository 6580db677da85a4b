"""`onhand demo`: a day of trade on imitated shops, and its verdict."""
