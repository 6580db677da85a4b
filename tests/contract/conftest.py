"""The suite's own files show the two sides of a failed comparison, as test files do."""

import pytest

pytest.register_assert_rewrite(
    *(f"contract_{part}" for part in ("faults", "orders", "pause", "place", "privacy", "reversals", "stock")),
    "channel_stage",
)
