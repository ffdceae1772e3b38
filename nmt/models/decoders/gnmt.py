"""GNMT decoder: Wu et al. 2016, 3.1."""

from torch import Tensor

from nmt.models.decoders.attentional import AttentionalDecoder, state_after
from nmt.models.decoders.base import Decoded, DecoderState, DropoutMasks, drop
from nmt.models.layers.recurrent import LayerState


class GnmtDecoder(AttentionalDecoder):
    """Decoder whose bottom layer is the attention query. Every upper layer and the readout read the context.

    The layout of RNMT+ (Chen et al. 2018) and, but for two details, of GNMT (Wu et al. 2016, 3.1), whose query is the
    bottom output of the step before (eq. 4), and whose readout does not read the context. Without attention it is the
    decoder of Sutskever et al. 2014.
    """

    def input_sizes(self, layers: int) -> list[int]:
        bottom = self.word_size + self.embed_size * self.input_feeding
        return [bottom] + [self.hidden_size + self.context_size] * (layers - 1)

    def decode_from_bottom(
        self, words: Tensor, output: Tensor, last: LayerState, state: DecoderState, masks: DropoutMasks
    ) -> Decoded:
        below, weights = [self.with_words(drop(output, masks.layers[0]), words)], None
        if self.attention is not None:
            context, weights = self.attend(self.with_words(output, words), state)
            below.append(drop(context, masks.context))
        top, hidden = self.upper_layers(below, state, masks)
        vectors = self.attentional_vectors([top, *below[1:]], masks)
        return vectors, state_after(state, [last, *hidden], vectors, weights), weights
