"""The figures of the health report."""
