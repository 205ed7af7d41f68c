#!/bin/sh
# Creates Temporal's two databases and brings their schemas to this release; safe to run again.
set -eu

tool() {
  database="$1"
  shift
  temporal-sql-tool --plugin postgres12 --ep "$POSTGRES_SEEDS" -p "$DB_PORT" \
    -u "$POSTGRES_USER" --pw "$POSTGRES_PWD" --db "$database" "$@"
}

prepare() {
  database="$1"
  schema="$2"
  # The first two do nothing where it has been done.
  tool "$database" create-database
  tool "$database" setup-schema -v 0.0
  tool "$database" update-schema --schema-name "$schema"
}

prepare "$DBNAME" postgresql/v12/temporal
prepare "$VISIBILITY_DBNAME" postgresql/v12/visibility
