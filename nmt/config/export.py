"""Configuration of the command `export`."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from nmt.config.root import checkpoint_problems


class ExportPrecision(StrEnum):
    """Number formats of the weights of an exported decoder."""

    float32 = "float32"
    int8 = "int8"


@dataclass
class ExportConfig:
    """`export`: write a run as a folder of ONNX graphs, with which onnxruntime translates without torch."""

    run: str
    """Run directory."""
    output: str
    """Folder to create, which must not exist."""
    precision: ExportPrecision = ExportPrecision.float32
    """Number format of the weights of the decoder and the output projection. int8: quantised dynamically; refused if it
    changes BLEU on the validation or test set by more than 0.2."""
    checkpoint: str = "best"
    """Checkpoint: best, last, or average:N, the mean weights of the N latest (see train.keep_checkpoints)."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from checkpoint_problems(self.checkpoint)
