#!/usr/bin/env bash
# peers.sh [NAME…]: builds the tools that the tests compare with or run against, all or the named ones,
# and prints the directory that holds them.
#
# Each is built once from its released module into the cache, outside the tree: NAME is a link to
# NAME@VERSION, which appears complete or not at all. Two runs at the same time build each tool once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test/setup/lib.sh
. "$here/lib.sh"

peers='
cosign-v3   github.com/sigstore/cosign/v3/cmd/cosign                  v3.1.3
cosign-v2   github.com/sigstore/cosign/v2/cmd/cosign                  v2.6.5
registry    github.com/distribution/distribution/v3/cmd/registry      v3.1.2
crane       github.com/google/go-containerregistry/cmd/crane          v0.22.1
actionlint  github.com/rhysd/actionlint/cmd/actionlint                v1.7.12
act         github.com/nektos/act                                     v0.2.89
syft        github.com/anchore/syft/cmd/syft                          v1.38.0
'

dir=$(cache_dir)/peers
mkdir -p "$dir"

# Without cgo, so that a binary also runs in whichever container it is mounted into.
build() {
  local name=$1 module=$2 version=$3 file=$dir/$1@$3 tmp began=$SECONDS
  if [ ! -x "$file" ]; then
    say "building $name $version from $module (once)"
    tmp=$(mktemp -d "$dir/.build.XXXXXX")
    if ! GOBIN=$tmp GOFLAGS=-trimpath CGO_ENABLED=0 go install -ldflags '-s -w' "$module@$version" 2>"$tmp/log"; then
      cat "$tmp/log" >&2
      rm -rf "$tmp"
      die "$name $version did not build; try: go install $module@$version"
    fi
    mv "$tmp/$(basename "$module")" "$file"
    rm -rf "$tmp"
    say "built $name $version in $((SECONDS - began)) s"
  fi
  if [ "$(readlink "$dir/$name")" != "$name@$version" ]; then
    ln -sfn "$name@$version" "$dir/.link.$name"
    mv -T "$dir/.link.$name" "$dir/$name"
  fi
}

wanted=" $* "
while read -r name module version; do
  [ -n "$name" ] || continue
  [ "$wanted" = "  " ] || [[ $wanted == *" $name "* ]] || continue
  wanted=${wanted/ $name / }
  (
    flock 9
    build "$name" "$module" "$version"
  ) 9>"$dir/.lock.$name"
done <<<"$peers"
if [ $# -gt 0 ] && [ -n "${wanted// /}" ]; then
  die "unknown peer:${wanted% }; known:$(awk 'NF { printf " %s", $1 }' <<<"$peers")"
fi
printf '%s\n' "$dir"
