#!/usr/bin/env bash
# Runs one fuzz target on stable Rust; cargo-fuzz is not needed.
#
#   fuzz/run.sh TARGET [SECONDS]      60 seconds if none are given
#   fuzz/run.sh TARGET FILE...        replays these inputs
#
# Starts from fuzz/seeds/TARGET and keeps what it finds new in fuzz/corpus/TARGET (not tracked).
# An input that breaks something is left in fuzz/artifacts/TARGET, and the exit status is not 0.
# Mended, it belongs into fuzz/seeds/TARGET, which tests/fuzz_seeds.rs replays.
set -euo pipefail
started_in=$PWD
cd "$(dirname "$0")"

targets() { basename -s .rs fuzz_targets/*.rs | paste -sd ' '; }
case ${1-} in
  '' | -h | --help)
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$(basename "$0")"
    echo
    echo "Targets: $(targets)"
    exit 0
    ;;
esac
target=$1
if [[ ! -e fuzz_targets/$target.rs ]]; then
  echo "fuzz/run.sh: no target '$target'; there are: $(targets)" >&2
  exit 2
fi
shift

# All at once: they share nearly everything that is to be built. The flags that libFuzzer needs are
# in .cargo/config.toml.
cargo build --release --locked --bins
host=$(rustc -vV | sed -n 's/^host: //p')
program=$(realpath "${CARGO_TARGET_DIR:-target}/$host/release/$target")

if (($#)) && [[ ! $1 =~ ^[0-9]+$ ]]; then
  cd "$started_in"
  exec "$program" "$@"
fi

mkdir -p "corpus/$target" "artifacts/$target"
corpora=("corpus/$target" "seeds/$target")
case $target in
  rules) corpora+=(../rules ../tests/rules) ;;
  capture) corpora+=(../tests/fixtures) ;;
esac
options=(-max_total_time="${1:-60}" -timeout=30 -max_len=8192 -print_final_stats=0 -verbosity=0
  -artifact_prefix="artifacts/$target/")
if [[ -e seeds/$target.dict ]]; then
  options+=(-dict="seeds/$target.dict")
fi
echo "fuzz/run.sh: $target for ${1:-60} s"
exec "$program" "${options[@]}" "${corpora[@]}"
