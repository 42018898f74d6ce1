#!/bin/sh
# Writes the file .env that docker-compose.yml needs, with secrets of its own. See .env.example for all there is in it.
#   sh deployments/compose/make-env.sh
set -eu
umask 077
file=$(dirname "$0")/../../.env

if [ -e "$file" ]; then
  # The database keeps the password it was made with: another one would lock the server out.
  echo "$file is there already; it was left as it is" >&2
  exit 1
fi

# 256 bits, in hex.
secret() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

socket=${DOCKER_SOCKET:-/var/run/docker.sock}
if [ "$(uname)" = Darwin ]; then
  # Docker Desktop shares the home directory with its engine, and shows the socket as root's.
  home=$HOME/.kandev
  group=0
else
  [ -S "$socket" ] || { echo "There is no Docker engine's socket at $socket: set DOCKER_SOCKET" >&2; exit 1; }
  home=/var/lib/kandev
  group=$(stat -c %g "$socket")
fi

cat >"$file" <<END
DB_PASSWORD=$(secret)
JWT_SECRET=$(secret)
DOCKER_GID=$group
DOCKER_SOCKET=$socket
KANDEV_HOME=${KANDEV_HOME:-$home}
END
echo "Wrote .env. Start with: docker compose up -d"
