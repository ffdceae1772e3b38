"""The decoders that differ from GNMT's in who asks the attention and what its answer goes into; and `build_decoder`.

A new decoder is a class that overrides what differs, a name in `DecoderKind` and a line in `build_decoder`.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from nmt.config import DecoderKind, ModelConfig
from nmt.models.decoders.recurrent import Advanced, Decoder, DecoderState, Masks, at_step, drop
from nmt.models.embedding import Embedding
from nmt.models.layers.cells import build_layer
from nmt.models.layers.recurrent import LayerState


class LuongDecoder(Decoder):
    """The top layer asks, and its answer goes into the output alone, or with input feeding into the next step too.

    v_t = tanh(W [c_t; h_t]), and x_{t+1} = [E y_t; v_t]: Luong et al. 2015, eq. 5 and 3.3.
    """

    def input_sizes(self, config: ModelConfig) -> list[int]:
        return super().input_sizes(config)[:1] + [config.hidden_size] * (config.decoder_layers - 1)

    def above(self, output: Tensor, last: LayerState, state: DecoderState, masks: Masks) -> Advanced:
        top, hidden = self.upper([drop(output, masks[0])], state, masks)
        context, weights = self.attend(top, state)
        vectors = drop(self.readout(torch.cat([top, drop(context, masks[-2])], dim=-1)).tanh(), masks[-1])
        return vectors, replace(state.read(len(output), weights), hidden=[last, *hidden], feed=vectors[-1]), weights


Move = Callable[[int, DecoderState], tuple[LayerState, Tensor, Tensor]]
"""Step t from a state: the bottom layer's state, the context (1, B K, H), the attention's weights (B, K, S)."""


class DeepOutputDecoder(Decoder):
    """What the two decoders share whose context enters the bottom layer's recurrence.

    Only that layer is a loop over time: the layers above it, which see the context too, and the output read the whole
    sequence at once. The output reads state, context and word (Bahdanau et al. 2015, A.2.2; Pascanu et al. 2014).
    """

    def mover(self, x: Tensor, mask: Tensor | None) -> Move:
        """The loop's body over embedded tokens (T, B K, E), given the dropout mask of the contexts."""
        raise NotImplementedError

    def vectors(self, products: Tensor) -> Tensor:
        """What the readout gives to attentional vectors (T, B K, E)."""
        raise NotImplementedError

    def advance(self, x: Tensor, state: DecoderState, masks: Masks) -> Advanced:
        move, outputs, contexts, weights = self.mover(x, masks[-2]), [], [], []
        for t in range(len(x)):
            last, context, weight = move(t, state)
            state = replace(state.read(1, weight), hidden=[last, *state.hidden[1:]])
            outputs.append(last[0])
            contexts.append(context)
            weights.append(weight)
        context = torch.cat(contexts)  # (T, B K, H)
        top, hidden = self.upper([drop(torch.stack(outputs), masks[0]), context], state, masks)
        vectors = drop(self.vectors(self.readout(torch.cat([top, context, x], dim=-1))), masks[-1])
        state = replace(state, hidden=[state.hidden[0], *hidden], feed=vectors[-1])
        return vectors, state, torch.cat(weights, dim=1)


class BahdanauDecoder(DeepOutputDecoder):
    """The state before the step asks: c_t = a(s_{t-1}), s_t = f([E y_{t-1}; c_t], s_{t-1}).

    Bahdanau et al. 2015, 3.1 and A.2.2; the output is a maxout of s_t, c_t and E y_{t-1}, with s_t as in their eq. 4.
    """

    vector_bound = float("inf")

    def input_sizes(self, config: ModelConfig) -> list[int]:
        return [config.embed_size + config.hidden_size, *super().input_sizes(config)[1:]]

    def build_readout(self, config: ModelConfig) -> nn.Linear:
        return nn.Linear(2 * config.hidden_size + config.embed_size, 2 * config.embed_size)

    def mover(self, x: Tensor, mask: Tensor | None) -> Move:
        read = self.bottom.input_projection(x)

        def move(t: int, state: DecoderState) -> tuple[LayerState, Tensor, Tensor]:
            before = state.hidden[0]
            context, weights = self.attend(before[0].unsqueeze(0), state)
            context = drop(context, at_step(mask, t))
            return self.bottom.advance(read(t, context.squeeze(0)), before), context, weights

        return move

    def vectors(self, products: Tensor) -> Tensor:
        return products.view(*products.shape[:-1], -1, 2).amax(dim=-1)


class ConditionalDecoder(DeepOutputDecoder):
    """Two cells with the attention between: s' = f(E y_{t-1}, s_{t-1}), c_t = a(s'), s_t = f'(c_t, s').

    The conditional GRU of Nematus (Sennrich et al. 2017, 2), here of any cell; its output is
    tanh(W [s_t; c_t; E y_{t-1}]).
    """

    def __init__(self, config: ModelConfig, embedding: Embedding) -> None:
        super().__init__(config, embedding)
        self.second = build_layer(config, config.hidden_size, config.hidden_size)

    def build_readout(self, config: ModelConfig) -> nn.Linear:
        return nn.Linear(2 * config.hidden_size + config.embed_size, config.embed_size)

    def mover(self, x: Tensor, mask: Tensor | None) -> Move:
        products = self.bottom.input_product(x).unbind()  # each (B K, G)

        def move(t: int, state: DecoderState) -> tuple[LayerState, Tensor, Tensor]:
            middle = self.bottom.advance(products[t], state.hidden[0])
            context, weights = self.attend(middle[0].unsqueeze(0), state)
            context = drop(context, at_step(mask, t))
            return self.second.step(context.squeeze(0), middle), context, weights

        return move

    def vectors(self, products: Tensor) -> Tensor:
        return products.tanh()


def build_decoder(config: ModelConfig, embedding: Embedding) -> Decoder:
    match config.decoder:
        case DecoderKind.gnmt:
            return Decoder(config, embedding)
        case DecoderKind.luong:
            return LuongDecoder(config, embedding)
        case DecoderKind.bahdanau:
            return BahdanauDecoder(config, embedding)
        case DecoderKind.conditional:
            return ConditionalDecoder(config, embedding)
