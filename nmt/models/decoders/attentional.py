"""Recurrent decoders whose readout is Luong's attentional vector."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from nmt.models.decoders.base import Decoded, DecoderState, DropoutMasks, RecurrentDecoder, drop, run_layer
from nmt.models.layers.recurrent import LayerState


class AttentionalDecoder(RecurrentDecoder):
    """Recurrent decoder with the attentional vector v_t = tanh(W [h_t; c_t]) (Luong et al. 2015, eq. 5).

    The bottom layer does not read the context of its own step. Without input feeding, no step depends on the step
    before except through the layers, and a sequence is a few large calls.
    """

    def build_readout(self) -> nn.Linear:
        return nn.Linear(self.hidden_size + self.context_size, self.embed_size)

    @abstractmethod
    def decode_from_bottom(
        self, words: Tensor, output: Tensor, last: LayerState, state: DecoderState, masks: DropoutMasks
    ) -> Decoded:
        """Complete `decode` from the output of the bottom layer.

        Args:
            words: embedded tokens, (T, B K, E), or their projection (T, B K, H).
            output: output of the bottom layer, (T, B K, H).
            last: last state of the bottom layer.
            state: state before the first step.
            masks: dropout masks.
        """

    def decode(self, x: Tensor, state: DecoderState, masks: DropoutMasks) -> Decoded:
        x = x if self.embedding_projection is None else self.embedding_projection(x)
        if not self.stepwise:
            output, last = run_layer(self.bottom, x, state.hidden[0])
            return self.decode_from_bottom(x, output, last, state, masks)
        project, vectors, weights = self.input_projection(x), [], []
        for t in range(len(x)):
            last = self.bottom.advance(project(t, state.feed), state.hidden[0])
            words, output = x[t : t + 1], last[0].unsqueeze(0)
            vector, state, weight = self.decode_from_bottom(words, output, last, state, masks.at_step(t))
            vectors.append(vector)
            weights += [] if weight is None else [weight]
        return torch.cat(vectors), state, torch.cat(weights, dim=1)

    def with_words(self, output: Tensor, words: Tensor) -> Tensor:
        """Add the embedded or projected tokens to the bottom layer's output (T, B K, H) with `residual_from=1`."""
        return words + output if self.residual_from == 1 else output

    def input_projection(self, x: Tensor) -> Callable[[int, Tensor], Tensor]:
        """Return the bottom layer's input products (B K, G) as a function of the step and the fed vector (B K, E).

        The products of the embedded tokens x (T, B K, E or H) are computed for all steps at once.
        """
        if self.input_feeding:
            return self.bottom.input_projection(x)
        products = self.bottom.input_product(x)  # (T, B K, G)
        return lambda t, _: products[t]

    def attentional_vectors(self, inputs: list[Tensor], masks: DropoutMasks) -> Tensor:
        """Return tanh(W [inputs]) after dropout, (T, B K, E)."""
        return drop(self.readout(torch.cat(inputs, dim=-1)).tanh(), masks.vector)


def state_after(state: DecoderState, hidden: list[LayerState], vectors: Tensor, weights: Tensor | None) -> DecoderState:
    """Return the state after the steps of the vectors (T, B K, E), the last of which is fed to the next step."""
    return replace(state.after(len(vectors), weights), hidden=hidden, feed=vectors[-1])
