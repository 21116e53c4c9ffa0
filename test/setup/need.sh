#!/usr/bin/env bash
# need.sh PACKAGE…: makes sure that what these Debian packages provide is there; cc stands for a C compiler.
#
# A package counts as present when the tool we use from it is found, wherever it came from. What is
# missing is installed with apt as root or with sudo; without either the script stops with the line to run.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test/setup/lib.sh
. "$here/lib.sh"

present() {
  case $1 in
    docker.io) have docker && { have dockerd || docker version >/dev/null 2>&1; } ;;
    nodejs) have node ;;
    opensc) have pkcs11-tool ;;
    p11-kit-modules) file '/usr/lib/*/pkcs11/p11-kit-client.so' ;;
    softhsm2) have softhsm2-util && file '/usr/lib/*/libsofthsm2.so' ;;
    cc) have cc && echo '#include <stdlib.h>' | cc -E - >/dev/null 2>&1 ;;
    *) have "$1" || dpkg -s "$1" >/dev/null 2>&1 ;;
  esac
}

# The packages to install. The docker.io of Debian 13 leaves the client to docker-cli.
packages() {
  local name
  for name in "${missing[@]}"; do
    case $name in
      cc) echo gcc libc6-dev ;;
      docker.io) if apt-cache show docker-cli >/dev/null 2>&1; then echo docker.io docker-cli; else echo docker.io; fi ;;
      *) echo "$name" ;;
    esac
  done | xargs
}

have() { command -v "$1" >/dev/null 2>&1; }
file() { compgen -G "$1" >/dev/null; }

missing=()
for package in "$@"; do
  present "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

have apt-get || die "missing: ${missing[*]} (names of Debian packages); this system has no apt-get, install what provides them"
line() { echo "apt-get update && apt-get install -y --no-install-recommends $(packages)"; }
root=$(root_prefix) || die "missing: ${missing[*]}; run as root: $(line)"

say "installing with apt${root:+ (sudo)}: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() { $root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1; }
# shellcheck disable=SC2046 # one word per package
if ! { apt update && apt install -y --no-install-recommends $(packages); }; then
  tail -n 20 "$log" >&2
  die "apt could not install: ${missing[*]}; see above, then run as root: $(line)"
fi
