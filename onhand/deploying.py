"""Register with Prefect what it must know: the forms of our credential blocks, then every deployment.

One process for both, because importing Prefect costs seconds: `python -m onhand.deploying`.
"""

import sys

from prefect.cli import app

from tasks.credentials import register_blocks


def main() -> None:
    register_blocks()
    sys.argv = ["prefect", "--no-prompt", "deploy", "--all"]
    app()


if __name__ == "__main__":
    main()
