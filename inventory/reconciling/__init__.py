"""The ledger held against channels, their orders and warehouses: what differs, and what becomes of it."""
