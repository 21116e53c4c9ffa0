# shellcheck shell=bash
# Sourced by the scripts beside it: talk, the cache directory, and becoming root.

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }
die() { say "$*"; exit 1; }

# What is slow to make and safe to delete: peers, base systems, the test engine's layers.
cache_dir() {
  local dir=${SIGNGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/signgate}
  mkdir -p "$dir"
  printf '%s\n' "$dir"
}

# Prints the words that make a command run as root (none when we are), or fails when there is no way.
# A password is asked for only where a person can type it.
root_prefix() {
  if [ "$(id -u)" -eq 0 ]; then return 0; fi
  command -v sudo >/dev/null || return 1
  if [ -t 0 ]; then echo sudo; else sudo -n true 2>/dev/null && echo 'sudo -n'; fi
}

# A tool that Debian puts into sbin is found for ordinary users too.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
