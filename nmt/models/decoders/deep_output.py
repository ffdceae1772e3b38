"""Recurrent decoders with a deep output (Pascanu et al. 2014), whose context enters the bottom layer's recurrence."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from nmt.models.decoders.base import Decoded, DecoderState, DropoutMasks, RecurrentDecoder, drop
from nmt.models.layers.recurrent import LayerState

StepFunction = Callable[[int, DecoderState], tuple[LayerState, Tensor, Tensor]]
"""Step t from a state: the bottom layer's state, the context (1, B K, H), the attention weights (B, K, S)."""


class DeepOutputDecoder(RecurrentDecoder):
    """Recurrent decoder whose readout reads state, context and word (Bahdanau et al. 2015, A.2.2).

    Only the bottom layer is a loop over time. The layers above it, which also read the context, and the readout
    process the whole sequence at once.
    """

    @abstractmethod
    def make_step(self, x: Tensor, mask: Tensor | None) -> StepFunction:
        """Return the body of the loop over embedded tokens (T, B K, E), given the dropout mask of the contexts."""

    @abstractmethod
    def activation(self, products: Tensor) -> Tensor:
        """Map the readout's products to vectors (T, B K, E)."""

    def input_sizes(self, layers: int) -> list[int]:
        return [self.embed_size] + [self.hidden_size + self.context_size] * (layers - 1)

    def decode(self, x: Tensor, state: DecoderState, masks: DropoutMasks) -> Decoded:
        step, outputs, contexts, weights = self.make_step(x, masks.context), [], [], []
        for t in range(len(x)):
            last, context, weight = step(t, state)
            state = replace(state.after(1, weight), hidden=[last, *state.hidden[1:]])
            outputs.append(last[0])
            contexts.append(context)
            weights.append(weight)
        context = torch.cat(contexts)  # (T, B K, H)
        top, hidden = self.upper_layers([drop(torch.stack(outputs), masks.layers[0]), context], state, masks)
        vectors = drop(self.activation(self.readout(torch.cat([top, context, x], dim=-1))), masks.vector)
        state = replace(state, hidden=[state.hidden[0], *hidden], feed=vectors[-1])
        return vectors, state, torch.cat(weights, dim=1)
