"""Luong decoder: Luong et al. 2015."""

from torch import Tensor

from nmt.models.decoders.attentional import AttentionalDecoder, state_after
from nmt.models.decoders.base import Decoded, DecoderState, DropoutMasks, drop
from nmt.models.layers.recurrent import LayerState


class LuongDecoder(AttentionalDecoder):
    """Decoder whose top layer is the attention query. Only the readout reads the context.

    v_t = tanh(W [c_t; h_t]) (eq. 5). With input feeding, the next input is x_{t+1} = [E y_t; v_t] (3.3).
    """

    def input_sizes(self, layers: int) -> list[int]:
        bottom = self.word_size + self.embed_size * self.input_feeding
        return [bottom] + [self.hidden_size] * (layers - 1)

    def decode_from_bottom(
        self, words: Tensor, output: Tensor, last: LayerState, state: DecoderState, masks: DropoutMasks
    ) -> Decoded:
        below = self.with_words(drop(output, masks.layers[0]), words)
        top, hidden = self.upper_layers([below], state, masks)
        context, weights = self.attend(top, state)
        vectors = self.attentional_vectors([top, drop(context, masks.context)], masks)
        return vectors, state_after(state, [last, *hidden], vectors, weights), weights
