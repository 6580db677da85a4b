"""How each source is, and what is done when one is in trouble."""
