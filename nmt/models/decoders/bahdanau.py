"""Bahdanau decoder: Bahdanau et al. 2015."""

from torch import Tensor, nn

from nmt.models.decoders.base import DecoderState, drop, mask_at_step
from nmt.models.decoders.deep_output import DeepOutputDecoder, StepFunction
from nmt.models.layers.recurrent import LayerState


class BahdanauDecoder(DeepOutputDecoder):
    """Decoder whose attention query is the state before the step: c_t = a(s_{t-1}), s_t = f([E y_{t-1}; c_t], s_{t-1}).

    Bahdanau et al. 2015, 3.1 and A.2.2. The readout is a maxout of s_t, c_t and E y_{t-1}, with s_t as in their eq. 4.
    """

    readout_bound = float("inf")

    def input_sizes(self, layers: int) -> list[int]:
        return [self.embed_size + self.hidden_size, *super().input_sizes(layers)[1:]]

    def build_readout(self) -> nn.Linear:
        return nn.Linear(2 * self.hidden_size + self.embed_size, 2 * self.embed_size)

    def make_step(self, x: Tensor, mask: Tensor | None) -> StepFunction:
        project = self.bottom.input_projection(x)

        def step(t: int, state: DecoderState) -> tuple[LayerState, Tensor, Tensor]:
            before = state.hidden[0]
            context, weights = self.attend(before[0].unsqueeze(0), state)
            context = drop(context, mask_at_step(mask, t))
            return self.bottom.advance(project(t, context.squeeze(0)), before), context, weights

        return step

    def activation(self, products: Tensor) -> Tensor:
        return products.view(*products.shape[:-1], -1, 2).amax(dim=-1)
