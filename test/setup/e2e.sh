#!/usr/bin/env bash
# e2e.sh [ARG…]: runs the end-to-end tests with all they need; ARGs go to go test (-run, -v, …).
#
# It finds or installs the Debian packages, builds the peers, finds or starts a Docker engine and makes the
# base images. The first run takes a quarter of an hour, a later one a few minutes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."

"$here/need.sh" docker.io git opensc openssl p11-kit p11-kit-modules softhsm2
"$here/peers.sh" act actionlint crane registry syft >/dev/null
# shellcheck disable=SC2016 # the inner shell expands them
exec "$here/dockerd.sh" bash -euc '"$0/images.sh" >/dev/null && exec go test -tags e2e -count 1 -timeout 20m "$@" ./test/e2e/...' "$here" "$@"
