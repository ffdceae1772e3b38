"""Transformer encoder: Vaswani et al. 2017, 3.1. B sentences, S source length, E width."""

from torch import Tensor, nn

from nmt.config import ModelConfig, TransformerEncoderConfig
from nmt.models.attention import source_positions
from nmt.models.embedding import Positions, SourceEmbedding
from nmt.models.interface import WORDS_EXPONENT, Encoded
from nmt.models.layers.recurrent import Dropout, WordDropout
from nmt.models.layers.transformer import FeedForward, MultiHead, Residual, initialise


class TransformerEncoderLayer(nn.Module):
    """Self-attention and a feed-forward network."""

    def __init__(self, config: TransformerEncoderConfig, model: ModelConfig) -> None:
        super().__init__()
        self.attention = MultiHead(model.embed_size, config.heads)
        self.feed_forward = FeedForward(model.embed_size, config.feed_forward_size)
        self.around_attention, self.around_feed_forward = (Residual(model, config.pre_norm) for _ in range(2))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map (S, B, E) and the mask (B, 1, 1, S) to (S, B, E)."""
        y = self.around_attention.before(x)
        x = self.around_attention.after(x, self.attention(y, self.attention.keys_values(y), mask))
        return self.around_feed_forward.after(x, self.feed_forward(self.around_feed_forward.before(x)))


class TransformerEncoder(nn.Module):
    """Embeddings, positions, and a stack of layers (3.1)."""

    embedding_exponent = 0.5
    state_size = None
    bound = float("inf")

    def __init__(self, config: TransformerEncoderConfig, model: ModelConfig, embedding: SourceEmbedding) -> None:
        super().__init__()
        self.memory_size = model.embed_size
        self.embedding = embedding
        self.word_scale = model.embed_size ** (WORDS_EXPONENT - self.embedding_exponent)
        self.positions = Positions(config.positions, config.max_positions, model.embed_size)
        self.layers = nn.ModuleList(TransformerEncoderLayer(config, model) for _ in range(config.layers))
        self.norm = nn.LayerNorm(model.embed_size) if config.pre_norm else nn.Identity()
        self.dropout = Dropout(model.dropout, model.fixed_masks)
        self.word_dropout = WordDropout(model.word_dropout)
        initialise(self.layers)

    def forward(self, src: Tensor, mask: Tensor) -> Encoded:
        """Encode token ids with their mask, both (S, B) and padded on the left; the memory is (S, B, E).

        Positions are counted from a sentence's first real token, and no real token attends to padding, so that a
        sentence is encoded as if it were alone. The output at padding is undefined.
        """
        words = self.word_dropout(self.embedding(src))
        x, words = self.dropout.together(self.positions(words, source_positions(mask.t()).t()), words)
        for layer in self.layers:
            x = layer(x, mask.t()[:, None, None])
        return Encoded(self.norm(x), words * self.word_scale)
