"""Configuration of the hardware to compute on: `machine.*`."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from nmt.config.checks import number


class Precision(StrEnum):
    """Number formats of matrix products."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    int8 = "int8"


@dataclass
class MachineConfig:
    """Hardware to compute on: `machine.*`."""

    device: str = "auto"
    """Device: cpu, cuda, cuda:N, or auto (cuda if available, otherwise cpu)."""
    precision: Precision = Precision.auto
    """Precision. auto: in training, bfloat16 where the hardware multiplies matrices in it (AMX, AVX512-BF16, CUDA),
    otherwise float32; in translation and scoring, float32, so that scores agree across machines. int8: for translation
    only; 1.6 times as fast on processors with 8-bit products (VNNI, AMX), with BLEU changed by up to 0.2 in either
    direction. Other processors round weights to 64 levels instead of 127, because their products saturate beyond."""
    threads: int | None = None
    """Number of threads; null: OMP_NUM_THREADS if set, otherwise the number of cores available to the process (CPU
    affinity and cgroup quota). Results are bit-identical only for the same number of threads."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.device not in ("auto", "cpu") and not self.device.startswith("cuda"):
            yield "device", f"is {self.device!r}; allowed: auto, cpu, cuda, cuda:N"
        yield from number(self, "threads", 1, 1024)
