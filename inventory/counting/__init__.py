"""Cycle counts: which bins, what was found, what it means."""
