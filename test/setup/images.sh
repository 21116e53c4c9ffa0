#!/usr/bin/env bash
# images.sh: makes sure that the engine has what the tests build from: the two base images of the
# Dockerfile and the runner image of the act tests (printed, one name).
#
# A base image that the engine has not is pulled. Where no registry answers (or SIGNGATE_OFFLINE is set) a
# stand-in takes its name: Debian from debootstrap, kept in the cache, with this machine's Go toolchain,
# certificates and Go proxy settings in the builder's. DEBIAN_MIRROR names another mirror.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test/setup/lib.sh
. "$here/lib.sh"

top=$(cd "$here/../.." && pwd)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

docker version >/dev/null 2>&1 || die "no Docker engine answers; run: test/setup/dockerd.sh test/setup/images.sh"

default_of() { sed -n "s/^ARG $1=//p" "$top/Dockerfile" | head -n 1; }

# A pull may take minutes, finding out that it cannot work may not: ask for the manifest first.
pull() {
  [ -z "${SIGNGATE_OFFLINE:-}" ] || return 1
  timeout 10 docker manifest inspect "$1" >/dev/null 2>&1 || return 1
  say "pulling $1"
  docker pull --quiet "$1" >/dev/null
}

# have_image NAME STANDIN ARG…: the image is there, or is pulled, or STANDIN NAME ARG… makes it.
have_image() {
  docker image inspect "$1" >/dev/null 2>&1 || pull "$1" || stand_in "$@"
}

stand_in() {
  local name=$1 make=$2 began=$SECONDS
  shift 2
  say "$name cannot be pulled; making a local stand-in of that name"
  "$make" "$name" "$@"
  say "made $name in $((SECONDS - began)) s"
}

# debian_tar SUITE: the path of a tarball of a minimal Debian, made once.
debian_tar() {
  local suite=$1 tar root
  tar=$(cache_dir)/debian-$suite-$(dpkg --print-architecture).tar
  if [ ! -e "$tar" ]; then
    "$here/need.sh" debootstrap
    root=$(root_prefix) || die "debootstrap needs root or sudo; run as root: $0"
    say "debootstrap of Debian $suite (once)"
    if ! $root debootstrap --variant=minbase "$suite" "$work/$suite" "$mirror" >"$work/log" 2>&1; then
      tail -n 20 "$work/log" >&2
      die "debootstrap of $suite from $mirror failed; see above, or name another mirror in DEBIAN_MIRROR"
    fi
    $root tar -C "$work/$suite" --exclude='./var/cache/apt/archives/*.deb' --exclude='./var/lib/apt/lists/*' \
      --exclude='./proc/*' --exclude='./sys/*' -cf "$tar.$$" .
    $root chown "$(id -u):$(id -g)" "$tar.$$"
    mv "$tar.$$" "$tar"
    $root rm -rf --one-file-system "${work:?}/$suite"
  fi
  printf '%s\n' "$tar"
}

stand_in_debian() {
  docker import --change 'CMD ["bash"]' "$(debian_tar "$2")" "$1" >/dev/null
}

stand_in_golang() {
  local name=$1 base=$2 settings='' setting value
  mkdir "$work/golang"
  tar -C "$(go env GOROOT)" --exclude=./test --exclude=./api --exclude=./doc -cf "$work/golang/go.tar" .
  cat /etc/ssl/certs/ca-certificates.crt >"$work/golang/ca.crt"
  for setting in GOPROXY GOSUMDB GONOSUMDB GONOPROXY GOPRIVATE; do
    value=$(go env "$setting")
    [ -z "$value" ] || settings+="ENV $setting=\"$value\""$'\n'
  done
  cat >"$work/golang/Dockerfile" <<DOCKERFILE
FROM $base
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates gcc git libc6-dev
ADD go.tar /usr/local/go/
COPY ca.crt /etc/ssl/certs/ca-certificates.crt
ENV GOPATH=/go GOTOOLCHAIN=local PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
${settings}WORKDIR /go
DOCKERFILE
  build "$name" "$work/golang"
}

# What act runs the jobs in: the parts of GitHub's ubuntu-latest that the workflows use.
runner_image() {
  local name=signgate-test/runner:1
  if ! docker image inspect "$name" >/dev/null 2>&1; then
    say "building the runner image of the act tests (once)"
    build "$name" --file "$here/runner.Dockerfile" "$here"
  fi
  printf '%s\n' "$name"
}

build() {
  local name=$1
  shift
  if ! docker build --tag "$name" "$@" >"$work/build.log" 2>&1; then
    tail -n 20 "$work/build.log" >&2
    die "$name did not build; see above"
  fi
}

(
  flock 9
  have_image "$(default_of BASE_IMAGE)" stand_in_debian trixie
  have_image debian:12-slim stand_in_debian bookworm
  have_image "$(default_of GO_IMAGE)" stand_in_golang debian:12-slim
  runner_image
) 9>"$(cache_dir)/images.lock"
