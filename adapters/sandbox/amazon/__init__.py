"""An imitated Amazon."""
