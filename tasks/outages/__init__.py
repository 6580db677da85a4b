"""Channels in trouble: found, paused, put back."""
