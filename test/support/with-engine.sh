#!/usr/bin/env bash
# Runs a command where a container engine answers: with the one that is there, or else with a dockerd of its own,
# whose data lies in a temporary folder and is gone afterwards.
#
#   test/support/with-engine.sh bun test
set -euo pipefail

if [ $# = 0 ]; then
  echo "usage: $0 command [argument...]" >&2
  exit 64
fi

if docker info >/dev/null 2>&1; then
  DOCKER_HOST=${DOCKER_HOST:-$(docker context inspect --format '{{.Endpoints.docker.Host}}')}
  export DOCKER_HOST
  exec "$@"
fi

if [ "$(id -u)" != 0 ] || ! PATH=$PATH:/usr/sbin command -v dockerd >/dev/null; then
  echo "No container engine answers, and this user cannot start one: it needs root, and apt-get install docker.io iptables" >&2
  exit 69
fi

folder=$(mktemp -d)
export DOCKER_HOST=unix://$folder/docker.sock
PATH=$PATH:/usr/sbin:/sbin

dockerd --host "$DOCKER_HOST" --data-root "$folder/data" --exec-root "$folder/exec" \
  --pidfile "$folder/docker.pid" >"$folder/log" 2>&1 &
engine=$!

stop_engine() {
  kill "$engine" 2>/dev/null || true
  wait "$engine" 2>/dev/null || true
  # Mounts that dockerd leaves, deepest first; without this, rm would fail on them.
  awk -v root="$folder/" 'index($2, root) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount --lazy
  rm -rf --one-file-system "$folder"
}
trap stop_engine EXIT

deadline=$((SECONDS + 30))
until docker info >/dev/null 2>&1; do
  if [ $SECONDS -ge $deadline ] || ! kill -0 "$engine" 2>/dev/null; then
    echo "dockerd did not answer within 30 s; the end of its log:" >&2
    tail -n 20 "$folder/log" >&2
    exit 69
  fi
  sleep 0.1
done

status=0
"$@" || status=$?
exit "$status"
