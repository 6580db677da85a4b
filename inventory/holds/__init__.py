"""Units kept for somebody who asked before selling."""
