#!/bin/sh
# A file NAME in /run/secrets (or SECRETS_DIR) becomes the environment variable NAME of the command, so that no secret
# stands in an image, a compose file or a process list. Names that are no variables stay files.
set -eu
for file in "${SECRETS_DIR:-/run/secrets}"/*; do
    name=$(basename "$file")
    case "$name" in
        *[!A-Z0-9_]* | '') continue ;;
    esac
    if [ -f "$file" ]; then
        value=$(cat "$file")
        export "$name=$value"
    fi
done
exec "$@"
