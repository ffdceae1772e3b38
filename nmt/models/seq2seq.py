"""Encoder-decoder model and its factory."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from nmt.config import Architecture, ModelConfig, PositionKind, Precision, Tying
from nmt.errors import UserError
from nmt.models.decoders import ConvolutionalDecoder, RecurrentDecoder, TransformerDecoder, build_decoder
from nmt.models.embedding import Embedding, FactoredEmbedding, SourceEmbedding
from nmt.models.encoders.convolutional import ConvolutionalEncoder
from nmt.models.encoders.recurrent import Encoder
from nmt.models.encoders.transformer import TransformerEncoder
from nmt.models.int8 import Int8Linear
from nmt.models.interface import AnyDecoder, AnyState, StepOutput
from nmt.models.layers.recurrent import recurrent_dropout, shared_masks, with_weight_drop
from nmt.models.lexicon import Lexicon

EXPONENTS = {Architecture.recurrent: 0.25, Architecture.transformer: 0.5, Architecture.convolutional: 0.0}
"""Exponent of the embeddings' scale for each architecture; `Embedding` gives the reason."""


@dataclass(frozen=True)
class Vocabulary:
    """Sizes of the two vocabularies, and the special tokens that the model uses."""

    src_size: int
    tgt_size: int
    pad_id: int
    bos_id: int
    factor_sizes: tuple[int, ...] = ()
    """Number of values of each source factor."""


class Seq2Seq(nn.Module):
    """Encoder, decoder and output projection: p(y | x) as a product over target tokens.

    Sutskever et al. 2014; Bahdanau et al. 2015.
    """

    def __init__(self, config: ModelConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        exponent = EXPONENTS[config.architecture]
        factors = vocabulary.factor_sizes
        piece_size = config.embed_size - len(factors) * (config.factor_size or 0)
        pieces = Embedding(vocabulary.src_size, piece_size, exponent)
        shared = config.tying == Tying.three_way
        tgt_embedding = pieces if shared else Embedding(vocabulary.tgt_size, config.embed_size, exponent)
        src_embedding: SourceEmbedding = (
            FactoredEmbedding(pieces, factors, config.factor_size, exponent) if factors else pieces
        )
        self.encoder: nn.Module
        self.decoder: AnyDecoder
        match config.architecture:
            case Architecture.recurrent:
                self.encoder, self.decoder = Encoder(config, src_embedding), build_decoder(config, tgt_embedding)
            case Architecture.transformer:
                self.encoder = TransformerEncoder(config, src_embedding)
                self.decoder = TransformerDecoder(config, tgt_embedding)
            case Architecture.convolutional:
                self.encoder = ConvolutionalEncoder(config, src_embedding)
                self.decoder = ConvolutionalDecoder(config, tgt_embedding)
        self.weight_drop = config.weight_drop
        self.recurrent_dropout = config.recurrent_dropout
        self.output_weight = (
            nn.Parameter(Embedding(vocabulary.tgt_size, config.embed_size).weight.detach())
            if config.tying == Tying.none
            else tgt_embedding.weight
        )
        self.output_bias = nn.Parameter(torch.zeros(vocabulary.tgt_size))
        self.int8_output: Int8Linear | None = None
        self.precision = Precision.float32

    def lower_precision(self, precision: Precision) -> None:
        """Convert the weights for search; the model cannot be trained afterwards.

        bfloat16 converts everything. int8 quantises products whose inputs are bounded, which none of a Transformer's or
        a convolutional model's are.
        """
        if precision == Precision.bfloat16:
            self.precision = precision
            self.bfloat16()
        if (
            precision == Precision.int8
            and isinstance(self.encoder, Encoder)
            and isinstance(self.decoder, RecurrentDecoder)
        ):
            if math.isfinite(self.encoder.bound):
                self.decoder.round_to_int8(self.encoder.bound)
            if math.isfinite(self.decoder.vector_bound):
                bound = self.decoder.vector_bound + Lexicon.bound * (self.decoder.lexicon is not None)
                self.int8_output = Int8Linear(self.output_weight, self.output_bias, bound)
            if any(isinstance(module, Int8Linear) for module in self.modules()):
                self.precision = precision

    def encode(self, src: Tensor, src_mask: Tensor) -> AnyState:
        """Return the decoder's state before the first token, from source ids and mask, (S, B), padded on the left."""
        with recurrent_dropout(self.encoder, self.recurrent_dropout, src.size(1)):
            encoded = with_weight_drop(self.encoder, self.weight_drop, src, src_mask)
        state: AnyState = self.decoder.start(encoded, src_mask)
        return state

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
        shared = shared_masks(self.decoder, hypotheses)
        with shared, recurrent_dropout(self.decoder, self.recurrent_dropout, tgt_in.size(1)):
            vectors: Tensor = with_weight_drop(self.decoder, self.weight_drop, tgt_in, state)[0]
        return vectors

    def attention(self, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor | None:
        """Return the attention weights (B, T, S) under teacher forcing; None for a model without attention."""
        _, weights = self.decoder(tgt_in, self.encode(src, src_mask))
        return None if weights is None else weights.detach()

    def step(self, tokens: Tensor, state: AnyState) -> StepOutput[AnyState]:
        """Decode one token per hypothesis, (B K,)."""
        vectors, state, attention = self.decoder.step(tokens, state)
        logits = self.project(vectors) if self.int8_output is None else self.int8_output(vectors)
        return StepOutput(logits.float().log_softmax(dim=-1), state, attention)

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


def check_model_size(config: ModelConfig, vocabulary: Vocabulary, values: int) -> None:
    """Compare the size of a checkpoint with the configured model before memory is allocated.

    Args:
        config: configuration of the model.
        vocabulary: vocabulary of the model.
        values: number of values in the checkpoint.

    Raises:
        UserError: a single matrix of the model has more values.
    """
    sides = [max(vocabulary.src_size, vocabulary.tgt_size)]
    match config.architecture:
        case Architecture.recurrent:
            sides += [config.hidden_size]
            smallest = max(config.hidden_size, config.direction_size or 0) ** 2
        case Architecture.transformer:
            sides += [config.feed_forward_size]
            smallest = config.max_positions * config.embed_size * (config.positions == PositionKind.learned)
        case Architecture.convolutional:
            sides += [config.hidden_size, config.max_positions]
            smallest = config.kernel_width * config.hidden_size**2
    if values < max(smallest, *(config.embed_size * side for side in sides)):
        raise UserError("the weights do not fit the configured model, which is larger")


def build_model(config: ModelConfig, vocabulary: Vocabulary) -> Seq2Seq:
    """Build the configured model, initialised from torch's global generator."""
    return Seq2Seq(config, vocabulary)
