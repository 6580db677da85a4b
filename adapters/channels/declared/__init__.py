"""Any HTTP API that is described in `channels.toml` instead of programmed."""
