"""Orders in: pulled, told of, applied."""
