"""eBay's Sell APIs."""
