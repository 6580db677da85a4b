"""The replay for people."""
