"""The whole model: encoder, bridge, decoder, output; and `build_model`, the only factory."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from nmt.config import Architecture, ModelConfig, PositionKind, Precision, Tying
from nmt.errors import UserError
from nmt.models.convolution import ConvolutionalDecoder, ConvolutionalEncoder
from nmt.models.decoders.base import RecurrentDecoder
from nmt.models.decoders.deep_output import build_decoder
from nmt.models.embedding import Embedding
from nmt.models.encoders.recurrent import Encoder
from nmt.models.int8 import Int8Linear
from nmt.models.interface import AnyDecoder, AnyState
from nmt.models.layers.recurrent import recurrent_dropout, shared_masks, with_weight_drop
from nmt.models.lexicon import Lexicon
from nmt.models.transformer import TransformerDecoder, TransformerEncoder

EXPONENTS = {Architecture.recurrent: 0.25, Architecture.transformer: 0.5, Architecture.convolutional: 0.0}
"""Of the embeddings' scale; `Embedding` says why."""


@dataclass(frozen=True)
class Vocabulary:
    """What the model has to know of the two vocabularies."""

    src_size: int
    tgt_size: int
    pad_id: int
    bos_id: int


class Seq2Seq(nn.Module):
    """p(y | x) as a product over target tokens (Sutskever et al. 2014; Bahdanau et al. 2015)."""

    def __init__(self, config: ModelConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        exponent = EXPONENTS[config.architecture]
        src_embedding = Embedding(vocabulary.src_size, config.embed_size, exponent)
        shared = config.tying == Tying.three_way
        tgt_embedding = src_embedding if shared else Embedding(vocabulary.tgt_size, config.embed_size, exponent)
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
        """Prepares for search, and for no more training: bfloat16 everywhere, or int8 in the products of a step.

        Products whose inputs have no bound stay in float32: all those of a Transformer or a convolution.
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
        """Source ids and mask, (S, B), padded on the left, to the decoder's state before the first token."""
        with recurrent_dropout(self.encoder, self.recurrent_dropout, src.size(1)):
            encoded = with_weight_drop(self.encoder, self.weight_drop, src, src_mask)
        state: AnyState = self.decoder.start(encoded, src_mask)
        return state

    def forward(self, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor:
        """Logits (T, B, V) of each next target token, given the ones before, (T, B)."""
        return self.project(self.decoder_outputs(src, src_mask, tgt_in))

    def decoder_outputs(self, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor:
        """What `project` turns into logits: the attentional vectors (T, B, E)."""
        return self.decode(tgt_in, self.encode(src, src_mask))

    def decode(self, tgt_in: Tensor, state: AnyState, hypotheses: int = 1) -> Tensor:
        """Return the vectors (T, B K, E) of whole target sequences (T, B K), from a state of as many.

        Args:
            tgt_in: target tokens.
            state: from `encode` and `select`.
            hypotheses: K, of each sentence. They share their sentence's dropout masks.
        """
        shared = shared_masks(self.decoder, hypotheses)
        with shared, recurrent_dropout(self.decoder, self.recurrent_dropout, tgt_in.size(1)):
            vectors: Tensor = with_weight_drop(self.decoder, self.weight_drop, tgt_in, state)[0]
        return vectors

    def attention(self, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor | None:
        """The attention's weights (B, T, S) while the given target is read; None for a model without attention."""
        _, weights = self.decoder(tgt_in, self.encode(src, src_mask))
        return None if weights is None else weights.detach()

    def step(self, tokens: Tensor, state: AnyState) -> tuple[Tensor, AnyState]:
        """One step of search: tokens (B K,) to log-probabilities (B K, V) in float32, and the next state."""
        vectors, state = self.decoder.step(tokens, state)
        return self.log_probs(vectors), state

    def step_with_attention(self, tokens: Tensor, state: AnyState) -> tuple[Tensor, AnyState, Tensor | None]:
        """`step`, and the attention's weights (B, K, S); None for a model without attention."""
        vectors, state, weights = self.decoder.step_with_weights(tokens, state)
        return self.log_probs(vectors), state, weights

    def log_probs(self, vectors: Tensor) -> Tensor:
        """What a step gives to `project` to log-probabilities (B K, V) in float32."""
        logits = self.project(vectors) if self.int8_output is None else self.int8_output(vectors)
        return logits.float().log_softmax(dim=-1)

    def project(self, vectors: Tensor) -> Tensor:
        """What the decoder returns, (..., E), to logits (..., V)."""
        return linear(vectors, self.output_weight, self.output_bias)

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Puts back the parameters by name, each shared one once.

        Raises:
            UserError: the weights are another model's, of another type, or not finite.
        """
        parameters = dict(self.named_parameters())
        strange = [name for name in {**parameters, **weights} if name not in parameters or name not in weights]
        kinds = [{name: (w.shape, w.dtype) for name, w in found.items()} for found in (parameters, weights)]
        strange = strange or [name for name in parameters if kinds[0][name] != kinds[1][name]]
        if strange:
            raise UserError(f"the weights do not fit the configured model: {', '.join(strange[:3])} differ")
        if broken := [name for name, weight in weights.items() if not weight.isfinite().all()]:
            raise UserError(
                f"the weights hold numbers that are not finite, in {', '.join(broken[:3])}; use another checkpoint"
            )
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(weights[name])


def check_model_size(config: ModelConfig, vocabulary: Vocabulary, given: int) -> None:
    """Looks at the sizes of a model before memory is asked for them.

    Args:
        config: of the model.
        vocabulary: of the model.
        given: numbers in the weights that it shall get.

    Raises:
        UserError: one of its matrices alone has more.
    """
    sides = [max(vocabulary.src_size, vocabulary.tgt_size)]
    match config.architecture:
        case Architecture.recurrent:
            sides += [config.hidden_size]
            least = max(config.hidden_size, config.direction_size or 0) ** 2
        case Architecture.transformer:
            sides += [config.feed_forward_size]
            least = config.max_positions * config.embed_size * (config.positions == PositionKind.learned)
        case Architecture.convolutional:
            sides += [config.hidden_size, config.max_positions]
            least = config.kernel_width * config.hidden_size**2
    if given < max(least, *(config.embed_size * side for side in sides)):
        raise UserError("the weights do not fit the configured model, which is larger")


def build_model(config: ModelConfig, vocabulary: Vocabulary) -> Seq2Seq:
    """The model that a configuration describes, freshly initialised from torch's global generator."""
    return Seq2Seq(config, vocabulary)
