"""Conditional decoder of Nematus: Sennrich et al. 2017, 2."""

from torch import Tensor, nn

from nmt.config import ModelConfig, RecurrentDecoderConfig
from nmt.models.decoders.base import DecoderState, drop, mask_at_step
from nmt.models.decoders.deep_output import DeepOutputDecoder, StepFunction
from nmt.models.embedding import Embedding
from nmt.models.layers.cells import build_layer
from nmt.models.layers.recurrent import LayerState


class ConditionalDecoder(DeepOutputDecoder):
    """Decoder with two cells and the attention between them.

    s' = f(E y_{t-1}, s_{t-1}), c_t = a(s'), s_t = f'(c_t, s'): the conditional GRU of Nematus, here with any cell.
    The readout is tanh(W [s_t; c_t; E y_{t-1}]).
    """

    def __init__(
        self, config: RecurrentDecoderConfig, model: ModelConfig, embedding: Embedding, state_size: int | None
    ) -> None:
        super().__init__(config, model, embedding, state_size)
        self.second = build_layer(config, self.hidden_size, self.hidden_size)

    def build_readout(self) -> nn.Linear:
        return nn.Linear(2 * self.hidden_size + self.embed_size, self.embed_size)

    def make_step(self, x: Tensor, mask: Tensor | None) -> StepFunction:
        products = self.bottom.input_product(x).unbind()  # each (B K, G)

        def step(t: int, state: DecoderState) -> tuple[LayerState, Tensor, Tensor]:
            middle = self.bottom.advance(products[t], state.hidden[0])
            context, weights = self.attend(middle[0].unsqueeze(0), state)
            context = drop(context, mask_at_step(mask, t))
            return self.second.step(context.squeeze(0), middle), context, weights

        return step

    def activation(self, products: Tensor) -> Tensor:
        return products.tanh()
