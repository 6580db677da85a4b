"""Numbers out: read, planned, gated, sent, confirmed."""
