#!/usr/bin/env bash
# dockerd.sh COMMAND…: runs COMMAND with a Docker engine that answers.
#
# An engine that already answers is used as it is. Otherwise a private one is started (as root or with
# sudo) and stopped again when COMMAND ends, however it ends: its own socket in DOCKER_HOST, its layers in
# the cache directory, so that a second run is fast, and the host's firewall and forwarding put back.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=test/setup/lib.sh
. "$here/lib.sh"

[ $# -gt 0 ] || die "usage: dockerd.sh COMMAND…"
if docker version >/dev/null 2>&1; then
  exec "$@"
fi
command -v dockerd >/dev/null || die "no Docker engine answers and there is no dockerd to start: run $here/need.sh docker.io"
root=$(root_prefix) || die "no Docker engine answers, and starting one needs root or sudo: sudo $0 $*"

cache=$(cache_dir)
run=$(mktemp -d "${TMPDIR:-/tmp}/signgate-engine.XXXXXX")
export DOCKER_HOST=unix://$run/docker.sock
pid=

asroot() { $root "$@"; }

alive() { asroot kill -0 "$pid" 2>/dev/null; }

stop() {
  local rc=$? n
  if [ -n "$pid" ] && alive; then
    tidy >/dev/null 2>&1 || true
    asroot kill "$pid"
    for n in $(seq 300); do
      alive || break
      sleep 0.1
    done
    ! alive || say "the engine (pid $pid) did not stop within $((n / 10)) s; its files stay in $run"
  fi
  if [ -n "$pid" ] && ! alive; then
    restore_network
    # Containers on the host's network leave a mount behind.
    awk -v run="$run/" 'index($2, run) == 1 { print $2 }' /proc/mounts | while read -r mount; do asroot umount "$mount"; done
    asroot rm -rf "$run"
  fi
  exit "$rc"
}

# What COMMAND left running, and layers that no image uses any more; a week of them makes the next builds fast.
tidy() {
  docker ps --all --quiet | xargs --no-run-if-empty docker rm --force
  docker network prune --force
  docker volume prune --force
  docker image prune --force --filter until=168h
}

# dockerd leaves its chains, its bridge and a DROP policy behind. What was there before comes back, unless
# another engine's bridge was there already.
save_network() {
  local tool table
  [ ! -e /sys/class/net/docker0 ] || return 0
  cat /proc/sys/net/ipv4/ip_forward >"$run/ip_forward"
  for tool in iptables ip6tables; do
    for table in filter nat raw; do
      asroot "$tool-save" -t "$table" 2>/dev/null || true
    done >"$run/$tool"
  done
}

restore_network() {
  [ -e "$run/ip_forward" ] || return 0
  asroot ip link delete docker0 2>/dev/null || true
  asroot iptables-restore <"$run/iptables" || true
  asroot ip6tables-restore <"$run/ip6tables" || true
  asroot tee /proc/sys/net/ipv4/ip_forward <"$run/ip_forward" >/dev/null || true
}

# One private engine per cache directory: a second run waits for the first.
exec 9>"$cache/engine.lock"
flock --nonblock 9 || { say "waiting for another run that uses the engine in $cache"; flock 9; }

trap stop EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

save_network
# A session of its own, so that an interrupt reaches COMMAND first and finds the engine still there.
asroot setsid dockerd --host "$DOCKER_HOST" --group "$(id -gn)" --data-root "$cache/engine" \
  --exec-root "$run/exec" --pidfile "$run/pid" >"$run/log" 2>&1 9>&- &
for _ in $(seq 300); do
  pid=$(cat "$run/pid" 2>/dev/null || true)
  if [ -n "$pid" ] && docker version >/dev/null 2>&1; then break; fi
  jobs -r | grep -q . || break
  sleep 0.1
done
if ! docker version >/dev/null 2>&1; then
  tail -n 20 "$run/log" >&2
  die "dockerd does not answer on $DOCKER_HOST; its last lines are above"
fi
say "started an engine (pid $pid, $DOCKER_HOST, layers in $cache/engine)"

"$@" 9>&-
