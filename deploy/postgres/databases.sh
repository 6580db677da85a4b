#!/bin/sh
# Run once by the image of PostgreSQL when its volume is empty: Prefect's database beside the ledger's.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres <<SQL
CREATE DATABASE prefect OWNER "$POSTGRES_USER";
SQL
# Prefect's migrations make indexes with it; on a managed server ask for it to be allowed.
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname prefect -c 'CREATE EXTENSION IF NOT EXISTS pg_trgm'
