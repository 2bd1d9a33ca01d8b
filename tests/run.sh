#!/usr/bin/env bash
# Checks everything, from a fresh clone on a machine that has Rust and nothing else: installs what
# the tests need (tests/setup.sh), then format, lints, fuzz targets and all tests.
#
#   tests/run.sh              needs root or sudo only where something has to be installed
#   FUZZ_SECONDS=60 tests/run.sh   how long each fuzz target runs (5 s if unset)
#
# A step that fails does not keep the others from running. The last line is the tests' sum; the
# exit status is 0 only if every step went well and at least one test passed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

case ${1-} in
  '') ;;
  -h | --help)
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
    exit 0
    ;;
  *)
    echo "run.sh: unknown argument '$1' (see --help)" >&2
    exit 2
    ;;
esac

if ! command -v cargo >/dev/null; then
  echo "run.sh: no cargo here: install Rust first (https://rustup.rs)" >&2
  exit 2
fi

failed=() step=
begin() {
  step=$1
  printf '\n== %s\n' "$step"
}
fail() { failed+=("$step"); }

# What rustup's minimal profile leaves out.
component() {
  cargo "$1" --version >/dev/null 2>&1 && return
  echo "run.sh: cargo $1 is missing here: rustup component add $2" >&2
  return 1
}
format() {
  component fmt rustfmt || return
  cargo fmt --check && (cd fuzz && cargo fmt --check)
}
lints() {
  component clippy clippy || return
  cargo clippy --all-targets --locked -- -D warnings
}
# In fuzz/ for the flags of its .cargo/config.toml, which the fuzz run shares.
fuzz_lints() {
  component clippy clippy || return
  (cd fuzz && cargo clippy --release --all-targets --locked -- -D warnings)
}
fuzz() {
  local target bad=0
  for target in fuzz/fuzz_targets/*.rs; do
    fuzz/run.sh "$(basename "$target" .rs)" "${FUZZ_SECONDS:-5}" || bad=1
  done
  return "$bad"
}

log=$(mktemp -d) || exit 2
trap 'rm -rf "$log"' EXIT
tests() {
  local status
  # The two streams stay apart, since a skipped test says so on stderr.
  { cargo test --locked --no-fail-fast | tee "$log/out"; } 2> >(tee "$log/err" >&2)
  status=$?
  wait "$!" # for the log to be complete
  return "$status"
}

begin 'what the tests need'
tests/setup.sh || fail
begin 'format'
format || fail
begin 'lints'
lints || fail
begin 'fuzz targets: lints'
fuzz_lints || fail
begin 'fuzz targets: a short run each'
fuzz || fail
begin 'tests'
tests || fail

# A test that cannot run here says "skipped: NAME: WHY" and returns, which cargo counts as passed.
sum() { sed -nE "s/^test result: .* ([0-9]+) $1;.*/\1/p" "$log/out" | awk '{ n += $1 } END { print n + 0 }'; }
touch "$log/out" "$log/err"
unable=$(grep -c '^skipped: ' "$log/err")
passed=$(($(sum passed) - unable)) failures=$(sum failed) skipped=$(($(sum ignored) + unable))
((passed > 0)) || failed+=('no test passed')

echo
if ((unable)); then
  grep '^skipped: ' "$log/err"
fi
status=0
if ((${#failed[@]})); then
  status=1
  printf 'run.sh: failed: %s\n' "${failed[@]}"
fi
echo "$passed passed, $failures failed, $skipped skipped"
exit "$status"
