#!/usr/bin/env bash
# Gives the Docker engine an image named node:24-bookworm-slim where it has none and no registry is at hand, so that
# the Dockerfiles build unchanged. A stand-in: Debian's minimal system, the project's Node, this machine's npm.
# What is special about this machine (its CA bundle, its package sources) goes in here and not into the Dockerfiles.
# As root, on Debian. About 40 s the first time; the minimal system is kept for the next.
set -euo pipefail

IMAGE=node:24-bookworm-slim
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=${KANDEV_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kandev}
SYSTEM=$CACHE/bookworm-minbase.tar
CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt

if docker image inspect "$IMAGE" >/dev/null 2>&1; then
  echo "$IMAGE is there"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT

if [[ ! -e $SYSTEM ]]; then
  # The mirror that this machine itself installs from.
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)
  [[ -n $mirror ]] || { echo 'apt knows no source of Debian bookworm' >&2; exit 1; }
  echo "Making a minimal Debian in $SYSTEM"
  debootstrap --variant=minbase bookworm "$work/system" "$mirror" >"$work/log" || { tail -n 20 "$work/log" >&2; exit 1; }
  rm -rf "$work"/system/var/cache/apt/* "$work"/system/var/lib/apt/lists/* "$work"/system/dev/*
  mkdir -p "$CACHE"
  tar -C "$work/system" -cf "$SYSTEM.$$" .
  mv "$SYSTEM.$$" "$SYSTEM"
fi

echo "Making a stand-in for $IMAGE"
rm -rf --one-file-system "$work/system"
mkdir "$work/system"
tar -C "$work/system" -xf "$SYSTEM"
install -D -m 755 "$ROOT/node_modules/node/bin/node" "$work/system/usr/local/bin/node"
modules=$work/system/usr/local/lib/node_modules
mkdir -p "$modules"
npm_script=${npm_execpath:-$(readlink -f "$(command -v npm)")} # …/npm/bin/npm-cli.js
cp -R "${npm_script%/bin/*}" "$modules/npm"
for name in npm npx; do ln -s "../lib/node_modules/npm/bin/$name-cli.js" "$work/system/usr/local/bin/$name"; done
printf 'node:x:1000:1000::/home/node:/bin/bash\n' >>"$work/system/etc/passwd"
printf 'node:x:1000:\n' >>"$work/system/etc/group"
install -d -o 1000 -g 1000 "$work/system/home/node"

changes=(
  'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  'CMD ["node"]'
  'LABEL kandev.test.stand-in=true'
  "ENV npm_config_registry=$(npm config get registry 2>/dev/null)"
)
if [[ -e $CA_BUNDLE ]]; then
  # Not where the package ca-certificates would write its own.
  install -D -m 644 "$CA_BUNDLE" "$work/system/usr/local/share/host-ca.crt"
  changes+=("ENV NODE_EXTRA_CA_CERTS=/usr/local/share/host-ca.crt npm_config_cafile=/usr/local/share/host-ca.crt")
fi
tar -C "$work/system" -c . | docker import "${changes[@]/#/--change=}" - "$IMAGE" >/dev/null
docker image inspect "$IMAGE" --format 'Made {{index .RepoTags 0}}, {{.Size}} bytes'
