#!/bin/sh
# Writes the configuration out of the environment, with the names that the common PgBouncer images share, unless
# one was mounted. Defaults are PgBouncer's own, except the ones a container needs.
set -eu

folder=/etc/pgbouncer
config=$folder/pgbouncer.ini

quoted() { printf '"%s"' "$(printf %s "$1" | sed 's/"/""/g')"; }

setting() { # name, value; an empty value leaves PgBouncer's default
  [ -z "$2" ] || echo "$1 = $2"
}

write_config() {
  umask 077
  echo "$(quoted "${DB_USER:?must be set}") $(quoted "${DB_PASSWORD:?must be set}")" >$folder/userlist.txt
  {
    echo '[databases]'
    echo "* = host=${DB_HOST:?must be set} port=${DB_PORT:-5432}"
    echo '[pgbouncer]'
    setting listen_addr "${LISTEN_ADDR:-0.0.0.0}"
    setting listen_port "${LISTEN_PORT:-5432}"
    echo 'unix_socket_dir ='
    setting auth_type "${AUTH_TYPE:-scram-sha-256}"
    setting auth_file $folder/userlist.txt
    setting admin_users "${ADMIN_USERS:-$DB_USER}"
    setting pool_mode "${POOL_MODE:-transaction}"
    setting default_pool_size "${DEFAULT_POOL_SIZE:-}"
    setting max_client_conn "${MAX_CLIENT_CONN:-}"
    setting max_prepared_statements "${MAX_PREPARED_STATEMENTS:-}"
    setting server_reset_query "${SERVER_RESET_QUERY:-}"
    setting ignore_startup_parameters "${IGNORE_STARTUP_PARAMETERS:-}"
    setting query_wait_timeout "${QUERY_WAIT_TIMEOUT:-}"
    setting server_login_retry "${SERVER_LOGIN_RETRY:-}"
  } >$config
}

[ -s $config ] || write_config
[ $# -gt 0 ] || set -- pgbouncer $config
exec "$@"
