#!/bin/sh
# Understands what the official image's entrypoint does, as far as a test needs it: POSTGRES_USER,
# POSTGRES_PASSWORD and POSTGRES_DB, a first argument that is an option, and a start as root.
set -eu

export PGDATA="${PGDATA:-/var/lib/postgresql/data}"

initialise() {
  user=${POSTGRES_USER:-postgres}
  database=${POSTGRES_DB:-$user}
  password_file=$(mktemp)
  printf '%s\n' "${POSTGRES_PASSWORD:?must be set}" >"$password_file"
  initdb --no-sync --encoding=UTF8 --locale=C --username="$user" --pwfile="$password_file" \
    --auth-local=trust --auth-host=scram-sha-256
  rm "$password_file"
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
  if [ "$database" != postgres ]; then
    # There is no psql among the npm-shipped binaries.
    printf 'create database "%s"\n' "$(printf %s "$database" | sed 's/"/""/g')" |
      postgres --single -D "$PGDATA" postgres >/dev/null
  fi
  # Waiting for the second "ready to accept connections" is how tools know the official image.
  pg_ctl --wait -o "-c listen_addresses='' -c fsync=off" start
  pg_ctl --wait --mode=fast stop
}

case ${1:-} in
'' | -*) set -- postgres "$@" ;;
esac

if [ "$1" = postgres ]; then
  if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA"
    chown -R postgres:postgres "$PGDATA"
    chmod 700 "$PGDATA"
    # Without the "--", su would take the server's own "-c" for its command.
    # shellcheck disable=SC2016 # the inner shell expands it
    exec su -s /bin/sh -c 'exec "$0" "$@"' -- postgres "$0" "$@"
  fi
  [ -s "$PGDATA/PG_VERSION" ] || initialise
fi

exec "$@"
