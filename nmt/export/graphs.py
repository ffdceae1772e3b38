"""Encoder and decoder step as ONNX graphs. The only file that imports onnx and PyTorch's exporter.

PyTorch's newer exporter (dynamo=True) reports success and freezes sizes of these models (pytorch issue 191855). The
tracing exporter (dynamo=False) is right at every size, apart from loops over time (see `nmt.export.loops`).

B sentences with K hypotheses each, S source length, V words in the vocabulary.
"""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.onnx.utils import register_custom_op_symbolic, unregister_custom_op_symbolic

from nmt.errors import UserError, first_line
from nmt.export.loops import DOMAIN, LOOP, TracedLoop, traceable
from nmt.export.settings import StateTensor
from nmt.export.states import named_tensors, state_of
from nmt.models import Seq2Seq

OPSET = 20
"""Version of the operators, the newest that the tracing exporter writes."""
BATCH = 3
"""Number of sentences, and of hypotheses, of the traced example."""


def split_evenly(g: Any, x: Any, chunks: int, dim: int) -> Any:
    """Return the operator for `Tensor.chunk`; that of the exporter computes the sizes at every call."""
    return g.op("Split", x, num_outputs_i=chunks, axis_i=dim, outputs=chunks)


def exponential_minus_one(g: Any, x: Any) -> Any:
    """Return operators for exp(x) - 1 = 2 exp(x / 2) sinh(x / 2), which is exact near zero; ONNX has none for it."""
    two = g.op("Constant", value_t=torch.tensor(2.0))
    half = g.op("Div", x, two)
    return g.op("Mul", two, g.op("Mul", g.op("Exp", half), g.op("Sinh", half)))


OPERATORS: dict[str, Callable[..., Any]] = {"prim::ConstantChunk": split_evenly, "aten::expm1": exponential_minus_one}
"""Operators that replace or complete those of the exporter."""


class EncoderGraph(nn.Module):
    """Encoder, bridge, and everything that the decoder computes once per sentence."""

    def __init__(self, model: Seq2Seq) -> None:
        super().__init__()
        self.model = model

    def forward(self, src: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """Map source ids and mask, (S, B), padded on the left, to the tensors of the decoder's first state."""
        state = self.model.encode(src, mask)
        return tuple(tensor for tensor, _ in named_tensors(state, self.model.decoder).values())


class StepGraph(nn.Module):
    """One step of the decoder with the output projection."""

    def __init__(self, model: Seq2Seq, like: Any) -> None:
        """
        Args:
            model: the model.
            like: a state of its decoder.
        """
        super().__init__()
        self.model, self.like = model, like
        self.names = list(named_tensors(like, model.decoder))

    def forward(self, tokens: Tensor, time: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Map tokens (B K,), the number of earlier tokens and the state to the results of the step.

        Returns:
            Log-probabilities (B K, V), attention weights (B, K, S) if there are any, and the tensors per hypothesis.
        """
        state = state_of(dict(zip(self.names, tensors, strict=True)), self.like, time)
        log_probs, after, weights = self.model.step(tokens, state)
        named = named_tensors(after, self.model.decoder).values()
        kept = (tensor for tensor, spec in named if spec.per_hypothesis)
        return (log_probs, *([] if weights is None else [weights]), *kept)


@dataclass(frozen=True)
class ModelGraphs:
    """The graphs of a model."""

    encoder: bytes
    """ONNX model of the encoder."""
    decoder: bytes
    """ONNX model of the decoder's step."""
    state: list[StateTensor]
    """Tensors of the state that the step reads, in the order of the graphs."""
    attends: bool
    """True if the step returns attention weights."""


def export_graphs(model: Seq2Seq) -> ModelGraphs:
    """Return the graphs of a model with float32 weights on the CPU.

    Raises:
        UserError: a part of the model has no form in ONNX.
    """
    model.eval()
    src = torch.arange(7 * BATCH).view(7, BATCH) % model.vocabulary.src_size
    mask = torch.ones(7, BATCH, dtype=torch.bool)
    mask[:2, 1] = False
    with torch.no_grad(), traceable(model) as loops:
        like = model.encode(src, mask)
        with_loops = len(loops) > 0
        loops.clear()
        named = named_tensors(like, model.decoder)
        names = list(named)
        axes = {name: state_axes(tensor, spec) for name, (tensor, spec) in named.items()}
        sizes = {"src": {0: "source", 1: "sentences"}, "src_mask": {0: "source", 1: "sentences"}}
        encoder = trace(EncoderGraph(model), [src, mask], ["src", "src_mask"], names, axes | sizes, with_loops)
        insert_scans(encoder, loops)
        tokens, time = torch.arange(BATCH) % model.vocabulary.tgt_size, torch.tensor(2)
        _, like, weights = model.step(tokens, model.step(tokens, model.encode(src, mask)).state)
        tensors = {name: tensor for name, (tensor, _) in named_tensors(like, model.decoder).items()}
        kept = [name for name in names if named[name][1].per_hypothesis]
        results = ["log_probs", *([] if weights is None else ["attention"]), *(f"next_{name}" for name in kept)]
        axes |= {f"next_{name}": axes[name] for name in kept}
        axes |= {"tokens": {0: "hypotheses"}, "log_probs": {0: "hypotheses"}}
        axes |= {} if weights is None else {"attention": {0: "sentences", 1: "beam", 2: "source"}}
        inputs = [tokens, time, *(tensors[name] for name in names)]
        decoder = trace(StepGraph(model, like), inputs, ["tokens", "time", *names], results, axes)
    used = drop_unread(encoder, decoder, names)
    state = [spec for _, spec in named.values() if spec.name in used]
    graphs = [graph.SerializeToString() for graph in (encoder, decoder)]
    return ModelGraphs(graphs[0], graphs[1], state, weights is not None)


def state_axes(tensor: Tensor, spec: StateTensor) -> dict[int, str]:
    """Return the axes of a state's tensor whose sizes vary: sentences or hypotheses, source and target length."""
    axes = {spec.axis: "hypotheses" if spec.per_hypothesis else "sentences"}
    if spec.name.startswith("past_"):
        axes[2] = "target"
    elif spec.name.startswith("source_"):
        axes[2] = "source"
    elif not spec.per_hypothesis or spec.name == "coverage":
        axes[1] = "source"
    return axes


def trace(
    module: nn.Module,
    inputs: Sequence[Tensor],
    names: Sequence[str],
    results: Sequence[str],
    axes: Mapping[str, Mapping[int, str]],
    loops: bool = False,
) -> onnx.ModelProto:
    """Trace a module, which contains loops over time or not, and return its graph.

    Raises:
        UserError: an operation of the module has no form in ONNX.
    """
    file: Any = io.BytesIO()
    for name, operator in OPERATORS.items():
        register_custom_op_symbolic(name, operator, OPSET)
    module.eval()  # otherwise the exporter returns the model to training mode
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # about Python values, of which only fixed sizes are left
        try:
            torch.onnx.export(
                *(module, tuple(inputs), file),
                dynamo=False,
                input_names=list(names),
                output_names=list(results),
                dynamic_axes={name: axes[name] for name in (*names, *results) if name in axes},
                opset_version=OPSET,
                custom_opsets={DOMAIN: 1} if loops else None,
            )
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            raise UserError(f"the model cannot be exported: {first_line(error)}; translate from the run") from None
        finally:
            for name in OPERATORS:
                unregister_custom_op_symbolic(name, OPSET)
    model = onnx.load_model_from_string(file.getvalue())
    for node in model.graph.node:
        node.doc_string = ""
    return model


def insert_scans(model: onnx.ModelProto, loops: Sequence[TracedLoop]) -> None:
    """Replace the nodes that stand for loops over time by Scan nodes, in place."""
    for node in [node for node in model.graph.node if node.domain == DOMAIN and node.op_type == LOOP]:
        number = next(attribute.i for attribute in node.attribute if attribute.name == "number")
        products, real, *first = node.input
        outputs, *last = node.output
        scan = onnx.helper.make_node(
            "Scan",
            [*first, products, real],
            [*last, outputs],
            name=f"loop_{number}",
            body=scan_body(loops[number], f"loop_{number}/"),
            num_scan_inputs=2,
        )
        node.CopyFrom(scan)
    kept = [version for version in model.opset_import if version.domain != DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def scan_body(loop: TracedLoop, prefix: str) -> onnx.GraphProto:
    """Return the body of a Scan: state, input products and mask of a step to the state and the output.

    All names get the prefix, because a body must not reuse names of the graph around it.
    """
    states = len(loop.examples) - 2
    names = [*(f"state_{i}" for i in range(states)), "products", "real"]
    results = [f"next_{i}" for i in range(states)]
    axes = {name: {0: "sentences"} for name in (*names, *results)}
    graph = trace(loop.step, loop.examples, names, results, axes).graph
    output = onnx.ValueInfoProto()
    output.CopyFrom(graph.output[0])
    output.name = "output"
    graph.node.append(onnx.helper.make_node("Identity", [graph.output[0].name], ["output"]))
    graph.output.append(output)
    del graph.value_info[:]
    inputs = {value.name: value for value in graph.input}  # the exporter leaves out those that no operation reads
    del graph.input[:]
    for name, example in zip(names, loop.examples, strict=True):
        missing = onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["sentences", *example.shape[1:]])
        graph.input.append(inputs.get(name, missing))
    for node in graph.node:
        node.input[:] = [prefix + name if name else "" for name in node.input]
        node.output[:] = [prefix + name for name in node.output]
    for named in (*graph.input, *graph.output, *graph.initializer):
        named.name = prefix + named.name
    return graph


def drop_unread(encoder: onnx.ModelProto, decoder: onnx.ModelProto, names: Sequence[str]) -> set[str]:
    """Remove the state's tensors that no step reads from both graphs, in place, and return the names of the others."""
    read = {name for node in decoder.graph.node for name in node.input}
    unread = {name for name in names if name not in read}
    for graph, dropped in ((encoder.graph, unread), (decoder.graph, {f"next_{name}" for name in unread})):
        kept = [output for output in graph.output if output.name not in dropped]
        del graph.output[:]
        graph.output.extend(kept)
    inputs = [value for value in decoder.graph.input if value.name in read]
    del decoder.graph.input[:]
    decoder.graph.input.extend(inputs)
    return set(names) - unread
