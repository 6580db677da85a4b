"""The ledger held against all that it can be held against."""
