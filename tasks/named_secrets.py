"""Secrets by the names that `channels.toml` gives them. Imports next to nothing: our services need no more of this."""

from pydantic import SecretStr

from adapters.settings import secret


def named_secret(name: str) -> SecretStr:
    """A secret as `channels.toml` names it: an environment variable, or `block:<type>/<document>.<field>` of a block
    that Prefect's server keeps (`tasks.credentials`). Raises SettingsError."""
    if not name.startswith("block:"):
        return secret(name)
    # Imported here: a process without blocks, as a service, need not import Prefect for seconds.
    from tasks.credentials import block_secret

    return block_secret(name)
