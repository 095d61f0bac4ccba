"""The wheel: with the C++ core where a compiler works, pure Python where none does."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from unroll.machine import native_core

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(os.environ.get("UNROLL_ALLOW_NO_CORE") == "1", reason="told to do without the C++ core")
def test_the_core_is_built_here_and_knows_the_machine() -> None:
    native = native_core()
    assert native is not None, "the C++ core was not built: run `make setup` with a compiler"
    assert native["instruction_sets"][-1] == "portable"
    if platform.machine() == "x86_64" and Path("/proc/cpuinfo").exists():
        flags = Path("/proc/cpuinfo").read_text().split("flags", 1)[1].split("\n", 1)[0].split()
        assert ("avx2" in native["instruction_sets"]) == ("avx2" in flags and "fma" in flags)
        assert ("avx512" in native["instruction_sets"]) == ("avx512f" in flags and "avx512dq" in flags)


@pytest.mark.parametrize("compiler", ["works", "fails"])
def test_a_wheel_is_built_with_or_without_a_compiler(compiler: str, tmp_path: Path) -> None:
    broken = {"CC": "/bin/false", "CXX": "/bin/false"} if compiler == "fails" else {}
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    folder = {"SKBUILD_BUILD_DIR": str(tmp_path / "build")}
    subprocess.run(
        [*pip, "-w", str(tmp_path), str(ROOT)], check=True, env=os.environ | broken | folder, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    package = ROOT / "src" / "unroll"
    sources = {str(p.relative_to(ROOT / "src")) for end in ("py", "yaml") for p in package.rglob(f"*.{end}")}
    assert sources <= set(names)
    assert {"unroll/py.typed", "unroll/data/registry/bundled/co2.csv"} <= set(names)
    assert not any("native/" in name for name in names)
    assert any("_native" in name for name in names) == (compiler == "works")
    assert wheel.name.endswith("py3-none-any.whl") == (compiler == "fails")
