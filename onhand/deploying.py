"""Register with Prefect what it must know: the forms of our credential blocks, every deployment, and the automations.

One process for all, because importing Prefect costs seconds: `python -m onhand.deploying [--no-automations]`.
"""

import sys

from prefect.cli import app

from adapters.settings import settings
from onhand.automations import install_automations, remove_automations, webhook_of
from tasks.credentials import register_blocks


def main() -> None:
    with_automations = "--no-automations" not in sys.argv
    register_blocks()
    sys.argv = ["prefect", "--no-prompt", "deploy", "--all"]
    try:
        app()
    except SystemExit as ended:
        if ended.code:
            raise
    changed = install_automations(webhook_of(settings())) if with_automations else remove_automations()
    for name, done in changed.items():
        print(f"automation {name!r} {done}")


if __name__ == "__main__":
    main()
