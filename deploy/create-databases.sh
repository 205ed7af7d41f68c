#!/bin/sh
# Run once by the Postgres image on an empty data folder: a role and a database for Carillon, and a
# role for Temporal, whose own schema job creates its two databases. Neither is a superuser: row-level
# security binds whoever is not.
set -eu

psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  --set carillon_password="$CARILLON_DB_PASSWORD" \
  --set temporal_password="$TEMPORAL_DB_PASSWORD" <<'SQL'
create role carillon login password :'carillon_password';
create role temporal login createdb password :'temporal_password';
create database carillon owner carillon;
\connect carillon
create extension if not exists vector;
SQL
