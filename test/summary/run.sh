#!/usr/bin/env bash
# run.sh test | screenshots [NAME…]: renders the job summaries of internal/report/testdata as GitHub does, and
# checks them, or writes docs/images.
#
# The packages are installed once from package-lock.json into the cache, outside the tree.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test/setup/lib.sh
. "$here/../setup/lib.sh"
"$here/../setup/need.sh" nodejs npm fonts-noto-color-emoji fonts-dejavu-core
browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
browser >/dev/null || "$here/../setup/need.sh" chromium
SIGNGATE_BROWSER=$(browser)
export SIGNGATE_BROWSER
[ "${1-}" != screenshots ] || "$here/../setup/need.sh" pngquant

modules=$(cache_dir)/summary-$(sha256sum <"$here/package-lock.json" | cut -c 1-12)
(
  flock 9
  if [ ! -d "$modules" ]; then
    say "installing the packages of test/summary (once)"
    tmp=$(mktemp -d "$modules.XXXXXX")
    cp "$here"/package*.json "$tmp"
    (cd "$tmp" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) || { rm -rf "$tmp"; die "npm could not install; try: npm ci in test/summary"; }
    mv "$tmp" "$modules"
  fi
) 9>"$modules.lock"

# Packages of today's npm are found beside the script that imports them, and nowhere else.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$here"/*.mjs "$work"
ln -s "$modules/node_modules" "$work/node_modules"
export SIGNGATE_ROOT=$here/../..
mkdir -p "$SIGNGATE_ROOT/docs/images"
case ${1-} in
  test) node --test "$work/summary.test.mjs" ;;
  screenshots) node "$work/screenshots.mjs" "${@:2}" ;;
  *) die "usage: run.sh test | screenshots [NAME…]" ;;
esac
