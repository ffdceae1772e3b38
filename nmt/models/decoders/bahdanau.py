"""Bahdanau decoder: Bahdanau et al. 2015."""

from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.models.decoders.base import DecoderState, drop, mask_at_step
from nmt.models.decoders.deep_output import DeepOutputDecoder, StepFunction
from nmt.models.layers.recurrent import LayerState


class BahdanauDecoder(DeepOutputDecoder):
    """Decoder whose attention query is the state before the step: c_t = a(s_{t-1}), s_t = f([E y_{t-1}; c_t], s_{t-1}).

    Bahdanau et al. 2015, 3.1 and A.2.2. The readout is a maxout of s_t, c_t and E y_{t-1}, with s_t as in their eq. 4.
    """

    vector_bound = float("inf")

    def input_sizes(self, config: ModelConfig) -> list[int]:
        return [config.embed_size + config.hidden_size, *super().input_sizes(config)[1:]]

    def build_readout(self, config: ModelConfig) -> nn.Linear:
        return nn.Linear(2 * config.hidden_size + config.embed_size, 2 * config.embed_size)

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
