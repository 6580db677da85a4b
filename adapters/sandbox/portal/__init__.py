"""An imitated wholesale portal, which the described channel talks to."""
