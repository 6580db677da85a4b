"""The health report, the watchdog's look, and telling people."""
