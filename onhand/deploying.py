"""Register with Prefect what it must know: the forms of our credential blocks, every deployment, and the automations.

One process for all, because importing Prefect costs seconds: `python -m onhand.deploying`.
"""

import sys

from prefect.cli import app

from adapters.settings import settings
from onhand.automations import install_automations, webhook_of
from tasks.credentials import register_blocks


def main() -> None:
    register_blocks()
    sys.argv = ["prefect", "--no-prompt", "deploy", "--all"]
    try:
        app()
    except SystemExit as ended:
        if ended.code:
            raise
    for name, done in install_automations(webhook_of(settings())).items():
        print(f"automation {name!r} {done}")


if __name__ == "__main__":
    main()
