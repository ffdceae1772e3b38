"""Encoder and decoder step of an exported folder in onnxruntime. The only file that imports it.

B sentences with K hypotheses each, S source length, V words in the vocabulary.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.errors import UserError, first_line
from nmt.export.folder import DECODER, ENCODER, REMEDY, ExportedFolder
from nmt.export.settings import StateTensor

Array = NDArray[Any]


@dataclass(frozen=True)
class ArrayState:
    """State of B K hypotheses of a decoder."""

    tensors: dict[str, Array]
    """Tensors by name."""
    specs: Sequence[StateTensor]
    """Batch axes of the tensors."""
    sentences: int
    """B."""
    hypotheses: int
    """B K."""
    time: int = 0
    """Number of target tokens decoded so far."""

    def select(self, rows: Array) -> "ArrayState":
        """Return the state of the hypotheses `rows` (B', K'), indices of the B K rows, one sentence per line."""
        flat = rows.reshape(-1)
        lines = rows[:, 0] * self.sentences // self.hypotheses
        stay = len(lines) == self.sentences and bool((lines == np.arange(self.sentences)).all())
        tensors = {}
        for spec in self.specs:
            tensor = self.tensors[spec.name]
            if spec.per_hypothesis:
                tensor = tensor.take(flat, axis=spec.axis)
            elif not stay:
                tensor = tensor.take(lines, axis=spec.axis)
            tensors[spec.name] = tensor
        return ArrayState(tensors, self.specs, len(lines), len(flat), self.time)


class StepResult(NamedTuple):
    """Result of one step."""

    log_probs: Array
    """Log-probabilities of the next tokens, (B K, V)."""
    state: ArrayState
    """State after the step."""
    attention: Array | None
    """Attention weights, (B, K, S); None if they were not requested."""


class ExportedModel:
    """Encoder and decoder step of a folder. Its sessions can be used by several threads at once."""

    def __init__(self, encoder: Any, decoder: Any, state: Sequence[StateTensor], attends: bool) -> None:
        """
        Args:
            encoder: session of the encoder.
            decoder: session of the decoder's step.
            state: tensors of the decoder's state.
            attends: True if the step returns attention weights.
        """
        self.encoder, self.decoder, self.specs, self.attends = encoder, decoder, state, attends
        self.names = [spec.name for spec in state]
        self.kept = [spec.name for spec in state if spec.per_hypothesis]
        self.read = {value.name for value in decoder.get_inputs()}

    @classmethod
    def of_folder(cls, folder: ExportedFolder) -> "ExportedModel":
        """Return the model of a verified folder.

        Raises:
            UserError: onnxruntime is not installed, or cannot read the graphs.
        """
        settings = folder.settings
        encoder, decoder = (read_graph(folder.graph(name), folder.path / name) for name in (ENCODER, DECODER))
        model = cls(encoder, decoder, settings.state, settings.attends)
        results = {result.name: result.shape for result in decoder.get_outputs()}
        expected = {"log_probs", *(f"next_{name}" for name in model.kept), *["attention"] * settings.attends}
        fits = expected <= set(results) and set(model.names) <= {result.name for result in encoder.get_outputs()}
        fits = fits and {value.name for value in encoder.get_inputs()} <= {"src", "src_mask"}
        if not fits or model.read - set(model.names) - {"time"} != {"tokens"}:
            raise UserError(f"{folder.path}: its graphs do not fit settings.json; {REMEDY}")
        if results["log_probs"][-1] != settings.tgt_size:
            raise UserError(f"{folder.path}: {DECODER} has another vocabulary than settings.json; {REMEDY}")
        return model

    def encode(self, src: Array, mask: Array) -> ArrayState:
        """Return the state before the first token, from source ids and mask, (S, B), padded on the left."""
        names = {value.name for value in self.encoder.get_inputs()}
        feed = {name: array for name, array in (("src", src), ("src_mask", mask)) if name in names}
        tensors = dict(zip(self.names, self.encoder.run(self.names, feed), strict=True))
        return ArrayState(tensors, self.specs, src.shape[1], src.shape[1])

    def step(self, tokens: Array, state: ArrayState, with_attention: bool = False) -> StepResult:
        """Decode one token per hypothesis, (B K,)."""
        feed = {name: array for name, array in state.tensors.items() if name in self.read}
        feed["tokens"] = tokens
        if "time" in self.read:
            feed["time"] = np.array(state.time, dtype=np.int64)
        results = ["log_probs", *["attention"] * with_attention, *(f"next_{name}" for name in self.kept)]
        log_probs, *rest = self.decoder.run(results, feed)
        attention = rest.pop(0) if with_attention else None
        tensors = state.tensors | dict(zip(self.kept, rest, strict=True))
        after = ArrayState(tensors, self.specs, state.sentences, state.hypotheses, state.time + 1)
        return StepResult(log_probs, after, attention)


def read_graph(content: bytes, path: Path) -> Any:
    """Return a session of onnxruntime on one thread of the CPU.

    Raises:
        UserError: onnxruntime is not installed, or cannot read the graph.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise UserError("onnxruntime is not installed; run pip install 'nmt-recurrent[export]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # an error is raised, and warnings are for developers of the library
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library has many, without a common base class
        raise UserError(f"{path} cannot be read by onnxruntime: {first_line(error)}; {REMEDY}") from None


def quantise(graph: bytes, folder: Path) -> bytes:
    """Return a graph whose matrix products have 8-bit weights and inputs, quantised dynamically.

    Weights have 7 bits and one scale per column, because processors without VNNI add pairs of products in 16 bits.

    Args:
        graph: the graph.
        folder: empty folder for temporary files.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    before, after = folder / "float32.onnx", folder / "int8.onnx"
    before.write_bytes(graph)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # the library advises a preprocessing that changes nothing here
    try:
        quantize_dynamic(
            *(before, after),
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
    finally:
        root.setLevel(level)
    return after.read_bytes()
