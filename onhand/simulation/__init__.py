"""The simulation: everything of ours that is real, under one virtual clock and one seed, and everything that fails.

A seed is drawn into a scenario (`drawing`, `scenario`: plain data of who sells what and what happens when). `playing`
plays it on the real ledger, with the real adapters, against the imitated vendors; the `oracle` knows each unit.
`shrinking` makes a failing one small.
"""
