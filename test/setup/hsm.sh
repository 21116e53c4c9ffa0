#!/usr/bin/env bash
# hsm.sh [ARG…]: runs the PKCS#11 suite over real modules; ARGs go to the test binary (-test.run=…, -test.v).
#
# The suite is built as the user and runs as root, which it needs for namespaces of its own and for
# opencryptoki, whose daemon talks to root and to one group only. See test/hsm/main_test.go.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test/setup/lib.sh
. "$here/lib.sh"
cd "$here/../.."

"$here/need.sh" cc softhsm2 opensc opencryptoki libnss3 libnss3-tools libtpm2-pkcs11-1 libtpm2-pkcs11-tools \
  swtpm tpm2-abrmd libtss2-tcti-tabrmd0 libtss2-tcti-swtpm0 dbus p11-kit p11-kit-modules openssl
root=$(root_prefix) || die "run as root, or with sudo: the suite makes namespaces of its own"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go test -race -c -o "$work/hsm.test" ./test/hsm
cd test/hsm
$root env PATH="$PATH" "$work/hsm.test" -test.timeout=5m "$@"
