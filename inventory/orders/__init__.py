"""What channels have sold: received, stored, applied, reversed."""
