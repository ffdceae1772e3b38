"""Instructions that matrix products use, from the log of oneDNN, and their peak with and without AMX.

    python -m nmt.lab.benchmark.instructions

prints the peaks of this process as JSON. oneDNN reads ONEDNN_MAX_CPU_ISA once, so that each setting has a process.
"""

import json
import os
import re
import subprocess
import sys
from typing import Any

import torch

from nmt.lab.benchmark.figures import PRODUCT_SECONDS, matmul_peak, timed
from nmt.models.int8 import LEVELS, Int8Linear
from nmt.processor import available_cores

WITHOUT_AMX = "AVX512_CORE_BF16"
"""Largest instruction set of oneDNN before AMX."""
PROBE_SECONDS = 90
"""Time limit of one process."""
INT8_SIZE = 1024
"""Rows and columns of the matrices of the 8-bit product."""


def cpu_facts() -> dict[str, Any]:
    """Return the instruction sets that the processor has and that PyTorch uses."""
    flags: set[str] = set()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = next((set(line.split()) for line in file if line.startswith("flags")), set())
    except OSError:
        pass
    names = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
    return {
        "flags": [name for name in names if name in flags],
        "torch_capability": torch.backends.cpu.get_cpu_capability(),
        "torch_amx": bool(torch.cpu._is_amx_tile_supported()),
        "onednn": torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
        "onednn_bfloat16": bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
    }


def int8_peak(repeats: int = 5) -> float:
    """Return the operations per second of an 8-bit product of search; 0 if PyTorch does not have the kernel."""
    try:
        layer = Int8Linear(torch.randn(INT8_SIZE, INT8_SIZE), None, float(LEVELS))
        x = torch.randn(INT8_SIZE, INT8_SIZE)
        seconds = timed(lambda: layer(x))
        best = min(seconds, *(timed(lambda: layer(x)) for _ in range(repeats if seconds <= PRODUCT_SECONDS else 1)))
    except (AttributeError, RuntimeError):
        return 0.0
    return 2 * INT8_SIZE**3 / best


def probe(isa: str | None) -> dict[str, Any]:
    """Measure the peaks in a process whose oneDNN has at most the instruction set `isa`; None: all of this processor.

    Returns:
        `peaks` in operations/s by type, `isa` as oneDNN names it, and `kernels` of the products; empty if it failed.
    """
    environment = os.environ | {"ONEDNN_VERBOSE": "1", "OMP_NUM_THREADS": str(torch.get_num_threads())}
    if isa is not None:
        environment["ONEDNN_MAX_CPU_ISA"] = isa
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, env=environment)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    lines = done.stdout.split("\n")
    peaks = next((json.loads(line) for line in lines if line.startswith("{")), None)
    if done.returncode or peaks is None:
        return {}
    return {"peaks": peaks, **kernels_in(lines)}


def kernels_in(lines: list[str]) -> dict[str, Any]:
    """Return the instruction set and the kernels of matrix products that a log of oneDNN names."""
    isa = next((match[1] for line in lines if (match := re.search(r",isa:(.*)", line))), "unknown")
    found = {
        f"{match[2].split(':')[0]} {match[1]}"
        for line in lines
        if (match := re.search(r"exec,cpu,(?:matmul|inner_product),([^,]+),[^,]*,src[_a-z]*:([^,]+)", line))
    }
    return {"isa": isa, "kernels": sorted(found)}


def main() -> None:
    peaks = {"float32": matmul_peak(torch.float32), "bfloat16": matmul_peak(torch.bfloat16), "int8": int8_peak()}
    print("\n" + json.dumps(peaks), flush=True)


if __name__ == "__main__":
    main()
