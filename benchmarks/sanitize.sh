#!/bin/sh
# The C++ core under AddressSanitizer and UndefinedBehaviorSanitizer: built into a folder of its own, then put in the
# place of the installed one for the engine's tests. Needs GCC or Clang with its sanitizers' libraries.
#
#     benchmarks/sanitize.sh                       the engine's tests, a tenth of what they draw, and 300 random shapes
#     benchmarks/sanitize.sh tests/nn/test_laws.py  other tests
#
# UNROLL_LAW_SHARE and UNROLL_FUZZ_COUNT ask for more. Results: benchmarks/results/sanitize.md.
set -eu
cd "$(dirname "$0")/.."
python=$PWD/.venv/bin/python
build=${UNROLL_SANITIZE_BUILD:-$PWD/build/sanitize}
PATH=$PWD/.venv/bin:$PATH

cmake -S . -B "$build" -DUNROLL_SANITIZE=ON -DPython_EXECUTABLE="$python" \
    -Dnanobind_DIR="$("$python" -m nanobind --cmake_dir)"
cmake --build "$build"
module=$(ls "$build"/_native*.so)

compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
library() { "$compiler" -print-file-name="$1"; }
case $("$compiler" --version) in
*clang*) asan=$(library "libclang_rt.asan-$(uname -m).so") ;;
*) asan=$(library libasan.so) ;;
esac

# The C++ library goes first too: the sanitizer looks for its functions once, before Python loads anything.
# One test limits the memory that sanitizers live on.
[ $# -gt 0 ] || set -- tests/nn/test_cpu_engine*.py tests/nn/test_cpu_activation.py \
    tests/nn/test_linear_recurrence*.py tests/nn/test_elementwise.py
LD_PRELOAD="$asan $(library libstdc++.so.6)" \
    ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 UNROLL_ACTIVATION_STRIDE=9973 \
    UNROLL_LAW_SHARE="${UNROLL_LAW_SHARE:-0.1}" UNROLL_FUZZ_COUNT="${UNROLL_FUZZ_COUNT:-300}" \
    exec "$python" - "$module" -p no:cacheprovider -k "not system_gives_no_thread" "$@" <<'PROGRAM'
import importlib.util
import sys

spec = importlib.util.spec_from_file_location("unroll._native", sys.argv[1])
sys.modules["unroll._native"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["unroll._native"])

import pytest

from unroll.kernels import cpu

assert cpu.native().__file__ == sys.argv[1]
sys.exit(pytest.main(sys.argv[2:]))
PROGRAM
