#!/bin/sh
# Run once by the Postgres image on an empty data folder: for Carillon a database, its owner and the
# login of the API and the workers, which works as one of two roles that row-level security binds and
# has no rights of its own; and a role for Temporal, whose own schema job creates its two databases.
# None of them is a superuser: row-level security binds whoever is not.
set -eu

psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  --set carillon_password="$CARILLON_DB_PASSWORD" \
  --set app_password="$CARILLON_APP_DB_PASSWORD" \
  --set temporal_password="$TEMPORAL_DB_PASSWORD" <<'SQL'
create role carillon login password :'carillon_password';
create role carillon_tenant nologin;
create role carillon_platform nologin;
create role carillon_app login noinherit password :'app_password';
grant carillon_tenant, carillon_platform to carillon_app;
create role temporal login createdb password :'temporal_password';
create database carillon owner carillon;
\connect carillon
create extension if not exists vector;
SQL
