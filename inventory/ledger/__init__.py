"""The books: movements, the balances that are their sum, and the shelf on which decisions are made."""
