"""Runtime of a command: device, precision, number of threads and memory allocator."""

import logging
import os
from dataclasses import dataclass

import torch

from nmt.allocator import keep_memory
from nmt.config import MachineConfig, Precision
from nmt.decoding import Translator
from nmt.errors import UserError
from nmt.models.int8 import exact_weight_levels
from nmt.processor import available_cores, requested_threads

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Runtime:
    """Device and precision selected from the configuration and the hardware."""

    device: torch.device
    bfloat16: bool
    """True to train under bfloat16 autocast."""
    translate_in: Precision
    """Precision for translation: float32, bfloat16 or int8."""
    keeps_memory: bool
    """True if the allocator keeps freed memory."""

    def __str__(self) -> str:
        memory = "kept by the allocator" if self.keeps_memory else "left to the C library"
        return f"{self.device}, {torch.get_num_threads()} threads, freed memory {memory}"

    def prepare_search(self, translator: Translator) -> None:
        """Convert a translator's model for search in the precision for translation."""
        translator.model.prepare_search(self.translate_in)
        if self.translate_in != Precision.float32:
            log.info("translating in %s", translator.model.precision)


def setup_runtime(config: MachineConfig) -> Runtime:
    """Select device, precision and number of threads from the configuration and the hardware, and set up torch.

    Raises:
        UserError: the configured device or precision is not available.
    """
    keeps_memory = keep_memory()
    torch.set_num_threads(number_of_threads(config))
    torch.set_flush_denormal(True)  # otherwise arithmetic near zero is hundreds of times slower
    name = config.device
    if name == "auto":  # every local rank has its own GPU
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"machine.device={name} cannot be used here: {str(error).split(chr(10))[0]}") from None
    bfloat16 = config.precision == Precision.bfloat16 or (config.precision == Precision.auto and fast_bfloat16(device))
    translate_in = Precision.float32 if config.precision == Precision.auto else config.precision
    if translate_in == Precision.int8 and not (device.type == "cpu" and exact_weight_levels()):
        raise UserError(
            "machine.precision=int8: the 8-bit products of this processor and torch are not exact; use auto or float32"
        )
    return Runtime(device, bfloat16, translate_in, keeps_memory)


def number_of_threads(config: MachineConfig) -> int:
    """Return `machine.threads`; otherwise OMP_NUM_THREADS; otherwise this process's share of the available cores."""
    requested = requested_threads()
    if config.threads is not None and requested not in (None, config.threads):
        log.warning("machine.threads=%d overrides OMP_NUM_THREADS=%d", config.threads, requested)
    return config.threads or requested or max(1, available_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def fast_bfloat16(device: torch.device) -> bool:
    """Return whether bfloat16 matrix products are faster than float32.

    On CPUs they are with AMX tiles or the instructions of AVX512-BF16 (Intel Cooper Lake and later, AMD Zen 4 and
    later). Other CPUs convert to float32 and back.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())
