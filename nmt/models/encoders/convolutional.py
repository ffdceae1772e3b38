"""Convolutional encoder: Gehring et al. 2017, without their weight normalisation and gradient scaling.

B sentences, S source length, E width of the embeddings, H of the convolutions, k kernel width.
"""

from torch import Tensor, nn
from torch.nn.functional import pad

from nmt.config import ConvolutionalEncoderConfig, ModelConfig, PositionKind
from nmt.models.attention import source_positions
from nmt.models.embedding import Positions, SourceEmbedding
from nmt.models.interface import WORDS_EXPONENT, Encoded
from nmt.models.layers.convolution import HALF_VARIANCE, Convolution, initialise_normal
from nmt.models.layers.recurrent import Dropout, WordDropout


class ConvolutionalEncoder(nn.Module):
    """Residual convolutions, each centred on its token."""

    embedding_exponent = 0.0
    state_size = None
    bound = float("inf")

    def __init__(self, config: ConvolutionalEncoderConfig, model: ModelConfig, embedding: SourceEmbedding) -> None:
        super().__init__()
        embed, hidden = model.embed_size, model.hidden_size
        self.memory_size = embed
        self.embedding = embedding
        self.word_scale = embed ** (WORDS_EXPONENT - self.embedding_exponent)
        self.positions = Positions(PositionKind.learned, config.max_positions, embed)
        self.inward = initialise_normal(nn.Linear(embed, hidden), 1 - model.dropout)
        self.layers = nn.ModuleList(
            Convolution(hidden, config.kernel_width, model.dropout) for _ in range(config.layers)
        )
        self.outward = initialise_normal(nn.Linear(hidden, embed), 1.0)
        self.margin = config.kernel_width // 2
        self.dropout = Dropout(model.dropout, model.fixed_masks)
        self.word_dropout = WordDropout(model.word_dropout)

    def forward(self, src: Tensor, mask: Tensor) -> Encoded:
        """Encode token ids with their mask, both (S, B) and padded on the left.

        The memory is the output of the top layer, the values are its scaled sum with the embeddings, both (S, B, E).

        Positions are counted from the first real token. Padding and margins are zero before each convolution, so that
        a sentence is encoded as if it were alone. The output at padding is undefined.
        """
        real = mask.unsqueeze(-1)  # (S, B, 1)
        words = self.word_dropout(self.embedding(src))
        embedded = self.positions(words, source_positions(mask.t()).t())
        embedded, words = self.dropout.together(embedded, words)  # (S, B, E)
        x = self.inward(embedded)
        for layer in self.layers:
            padded = pad(self.dropout(x) * real, (0, 0, 0, 0, self.margin, self.margin))  # (S + k - 1, B, H)
            x = (layer(padded) + x) * HALF_VARIANCE
        keys = self.outward(x)
        return Encoded(keys, words * self.word_scale, values=(keys + embedded) * HALF_VARIANCE)
