#!/usr/bin/env bash
# fuzz.sh [TIME [PATTERN]]: runs every fuzz target of the module, or those whose name matches, for TIME each (10s).
#
# What a target finds is written to testdata/fuzz beside it; commit it with the fix.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
time=${1:-10s} pattern=${2:-.}

failed=()
while IFS=: read -r file line; do
  target=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/' <<<"$line")
  [[ $target =~ $pattern ]] || continue
  folder=./$(dirname "$file")
  echo "== $folder $target"
  go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "$folder" || failed+=("$folder $target")
done < <(git grep -E '^func Fuzz' -- '*_test.go')

if ((${#failed[@]})); then
  printf 'failed: %s\n' "${failed[@]}" >&2
  exit 1
fi
