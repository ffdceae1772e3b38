"""Encoder-decoder model and its factory."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from nmt.config import ModelConfig, Precision, RecurrentSide, SideConfig, Tying
from nmt.errors import UserError
from nmt.models.bridge import MemoryBridge
from nmt.models.decoders import DECODERS, RecurrentDecoder
from nmt.models.embedding import Embedding, FactoredEmbedding, SourceEmbedding
from nmt.models.encoders import ENCODERS
from nmt.models.int8 import Int8Linear
from nmt.models.interface import AnyDecoder, AnyEncoder, AnyState, StepOutput
from nmt.models.layers.fused import FusedLayer
from nmt.models.layers.recurrent import recurrent_dropout, shared_masks, with_weight_drop
from nmt.models.packed import PackedLinear, pack_linear_layers, packing_works
from nmt.models.shortlist import RestrictedState, WordSubsets


@dataclass(frozen=True)
class Vocabulary:
    """Sizes of the two vocabularies and of the source factors."""

    src_size: int
    tgt_size: int
    factor_sizes: tuple[int, ...] = ()
    """Number of values of each source factor."""


class Seq2Seq(nn.Module):
    """Encoder, decoder and output projection: p(y | x) as a product over target tokens.

    Sutskever et al. 2014; Bahdanau et al. 2015.
    """

    def __init__(self, config: ModelConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        encoder, decoder = ENCODERS[config.encoder.kind], DECODERS[config.decoder.kind]
        factors, exponent = vocabulary.factor_sizes, encoder.embedding_exponent
        piece_size = config.embed_size - len(factors) * (config.factor_size or 0)
        pieces = Embedding(vocabulary.src_size, piece_size, exponent)
        shared = pieces if config.tying == Tying.three_way else None
        tgt_embedding = Embedding(vocabulary.tgt_size, config.embed_size, decoder.embedding_exponent, shared)
        src_embedding: SourceEmbedding = pieces
        if factors:
            src_embedding = FactoredEmbedding(pieces, factors, config.factor_size, exponent)
        self.encoder: AnyEncoder = encoder(config.encoder, config, src_embedding)
        self.decoder: AnyDecoder = decoder(config.decoder, config, tgt_embedding, self.encoder.state_size)
        widths = self.encoder.memory_size, self.decoder.memory_size
        self.bridge = None if widths[0] == widths[1] else MemoryBridge(*widths)
        self.encoder_noise, self.decoder_noise = recurrent_noise(config.encoder), recurrent_noise(config.decoder)
        self.output_weight = (
            nn.Parameter(Embedding(vocabulary.tgt_size, config.embed_size).weight.detach())
            if config.tying == Tying.none
            else tgt_embedding.weight
        )
        self.output_bias = nn.Parameter(torch.zeros(vocabulary.tgt_size))
        self.search_output: Int8Linear | PackedLinear | None = None
        """Output projection of search steps; None: that of training."""
        self.precision = Precision.float32

    @property
    def drops_weights(self) -> bool:
        """True if a side drops weights in training, so that all rows of a call have the same ones."""
        return any(weight_drop for weight_drop, _ in (self.encoder_noise, self.decoder_noise))

    def prepare_search(self, precision: Precision) -> None:
        """Convert the weights for search; the model cannot be trained afterwards.

        bfloat16 converts everything. int8 quantises products whose inputs are bounded: the output projection of a
        recurrent decoder, and its layers if the memory is bounded too. A Transformer and convolutions have no bounds.
        On a CPU all other products, and those of float32, get packed weights.
        """
        if precision == Precision.bfloat16:
            self.precision = precision
            self.bfloat16()
            return
        if precision == Precision.int8:
            rounded = False
            if isinstance(self.decoder, RecurrentDecoder) and self.bridge is None and math.isfinite(self.encoder.bound):
                rounded = self.decoder.round_to_int8(self.encoder.bound)
            if math.isfinite(self.decoder.vector_bound):
                self.search_output = Int8Linear(self.output_weight, self.output_bias, self.decoder.vector_bound)
                rounded = True
            self.precision = precision if rounded else self.precision
        if self.output_weight.device.type == "cpu" and packing_works():
            self.pack()

    def pack(self) -> None:
        """Pack the weights of all products of search that have not been quantised."""
        pack_linear_layers(self)
        for name, module in self.named_modules():
            if name.startswith("decoder.") and isinstance(module, FusedLayer) and module.products is None:
                module.pack()
        if self.search_output is None:
            self.search_output = PackedLinear(self.output_weight, self.output_bias)

    def encode(self, src: Tensor, src_mask: Tensor) -> AnyState:
        """Return the decoder's state before the first token, from source ids and mask, (S, B), padded on the left."""
        weight_drop, probability = self.encoder_noise
        with recurrent_dropout(self.encoder, probability, src.size(1)):
            encoded = with_weight_drop(self.encoder, weight_drop, src, src_mask)
        if self.bridge is not None:
            encoded = self.bridge(encoded)
        state: AnyState = self.decoder.start(encoded, src_mask)
        return state

    def hidden_states(self, src: Tensor, src_mask: Tensor) -> Tensor:
        """Return the encoder's output for each source token, (S, B, M); undefined at padding."""
        return self.encoder(src, src_mask).memory

    def forward(self, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor:
        """Return the logits (T, B, V) of each next target token, given the tokens before it, (T, B)."""
        return self.project(self.decoder_outputs(src, src_mask, tgt_in))

    def decoder_outputs(self, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor:
        """Return the inputs of the output projection, (T, B, E)."""
        return self.decode(tgt_in, self.encode(src, src_mask))

    def decode(self, tgt_in: Tensor, state: AnyState, hypotheses: int = 1) -> Tensor:
        """Return the inputs of the output projection, (T, B K, E), for whole target sequences.

        Args:
            tgt_in: target tokens, (T, B K).
            state: state of B K hypotheses, from `encode` and `select`.
            hypotheses: K, the number per sentence. They share their sentence's dropout masks.
        """
        weight_drop, probability = self.decoder_noise
        shared = shared_masks(self.decoder, hypotheses)
        with shared, recurrent_dropout(self.decoder, probability, tgt_in.size(1)):
            vectors: Tensor = with_weight_drop(self.decoder, weight_drop, tgt_in, state)[0]
        return vectors

    def attention(self, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor | None:
        """Return the attention weights (B, T, S) under teacher forcing; None for a model without attention."""
        _, weights = self.decoder(tgt_in, self.encode(src, src_mask))
        return None if weights is None else weights.detach()

    def step(self, tokens: Tensor, state: AnyState) -> StepOutput[AnyState]:
        """Decode one token per hypothesis, (B K,)."""
        vectors, state, attention = self.decoder.step(tokens, state)
        logits = self.project(vectors) if self.search_output is None else self.search_output(vectors)
        return StepOutput(logits.float().log_softmax(dim=-1), state, attention)

    def restrict(self, state: AnyState, subsets: WordSubsets) -> RestrictedState[AnyState]:
        """Return the state before the first target token for search over a part of the vocabulary.

        The rows of the output layer are copied once per batch. In int8 they are rounded as in the whole layer, which
        has one scale per row; a single sentence uses the whole layer, because arranging the rows takes longer than the
        products with it.
        """
        if isinstance(self.search_output, Int8Linear) and len(subsets.words) == 1:
            return RestrictedState(state, self.search_output, subsets.words, subsets.penalty, 1)
        weight, bias = (part.index_select(0, subsets.union) for part in (self.output_weight, self.output_bias))
        project: Callable[[Tensor], Tensor] = partial(linear, weight=weight, bias=bias)
        if isinstance(self.search_output, Int8Linear):
            project = Int8Linear(weight, bias, self.decoder.vector_bound)
        elif isinstance(self.search_output, PackedLinear):
            project = PackedLinear(weight, bias)
        return RestrictedState(state, project, subsets.columns, subsets.penalty, len(subsets.columns))

    def step_restricted(
        self, tokens: Tensor, state: RestrictedState[AnyState]
    ) -> StepOutput[RestrictedState[AnyState]]:
        """Decode one token per hypothesis, (B K,), with log-probabilities of the sentences' words, (B K, N)."""
        vectors, following, attention = self.decoder.step(tokens, state.state)
        return StepOutput(state.log_probs(vectors), replace(state, state=following), attention)

    def project(self, vectors: Tensor) -> Tensor:
        """Map decoder outputs (..., E) to logits (..., V)."""
        return linear(vectors, self.output_weight, self.output_bias)

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Load the parameters by name; a shared parameter has one name.

        Raises:
            UserError: the weights are of another model or type, or are not finite.
        """
        parameters = dict(self.named_parameters())
        mismatched = [name for name in {**parameters, **weights} if name not in parameters or name not in weights]
        kinds = [{name: (w.shape, w.dtype) for name, w in tensors.items()} for tensors in (parameters, weights)]
        mismatched = mismatched or [name for name in parameters if kinds[0][name] != kinds[1][name]]
        if mismatched:
            raise UserError(f"the weights do not fit the configured model: {', '.join(mismatched[:3])} differ")
        if broken := [name for name, weight in weights.items() if not weight.isfinite().all()]:
            raise UserError(
                f"the weights hold numbers that are not finite, in {', '.join(broken[:3])}; use another checkpoint"
            )
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(weights[name])


def recurrent_noise(side: SideConfig) -> tuple[float, float]:
    """Return the probabilities of weight drop and recurrent dropout on a side, 0 if it is not recurrent."""
    return (side.weight_drop, side.recurrent_dropout) if isinstance(side, RecurrentSide) else (0.0, 0.0)


def check_model_size(config: ModelConfig, vocabulary: Vocabulary, values: int) -> None:
    """Compare the size of a checkpoint with the configured model before memory is allocated.

    Args:
        config: configuration of the model.
        vocabulary: vocabulary of the model.
        values: number of values in the checkpoint.

    Raises:
        UserError: a single matrix of the model has more values.
    """
    e, h = config.embed_size, config.hidden_size
    tables = [e * size for size in (vocabulary.src_size, vocabulary.tgt_size)]
    if values < max(*tables, *config.encoder.matrices(e, h), *config.decoder.matrices(e, h)):
        raise UserError("the weights do not fit the configured model, which is larger")


def build_model(config: ModelConfig, vocabulary: Vocabulary) -> Seq2Seq:
    """Build the configured model, initialised from torch's global generator."""
    return Seq2Seq(config, vocabulary)
