"""Transformer encoder: Vaswani et al. 2017, 3.1. B sentences, S source length, E width."""

from torch import Tensor, nn

from nmt.config import ModelConfig
from nmt.models.attention import source_positions
from nmt.models.embedding import Positions, SourceEmbedding
from nmt.models.layers.recurrent import Dropout, WordDropout
from nmt.models.layers.transformer import FeedForward, MultiHead, Residual, initialise


class TransformerEncoderLayer(nn.Module):
    """Self-attention and a feed-forward network."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention = MultiHead(config.embed_size, config.heads)
        self.feed_forward = FeedForward(config.embed_size, config.feed_forward_size)
        self.around_attention, self.around_feed_forward = Residual(config), Residual(config)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map (S, B, E) and the mask (B, 1, 1, S) to (S, B, E)."""
        y = self.around_attention.before(x)
        x = self.around_attention.after(x, self.attention(y, self.attention.keys_values(y), mask))
        return self.around_feed_forward.after(x, self.feed_forward(self.around_feed_forward.before(x)))


class TransformerEncoder(nn.Module):
    """Embeddings, positions, and a stack of layers (3.1)."""

    def __init__(self, config: ModelConfig, embedding: SourceEmbedding) -> None:
        super().__init__()
        self.embedding = embedding
        self.positions = Positions(config.positions, config.max_positions, config.embed_size)
        self.layers = nn.ModuleList(TransformerEncoderLayer(config) for _ in range(config.encoder_layers))
        self.norm = nn.LayerNorm(config.embed_size) if config.pre_norm else nn.Identity()
        self.dropout = Dropout(config.dropout, config.fixed_masks)
        self.word_dropout = WordDropout(config.word_dropout)
        initialise(self.layers)

    def forward(self, src: Tensor, mask: Tensor) -> Tensor:
        """Encode token ids with their mask, both (S, B) and padded on the left, as (S, B, E).

        Positions are counted from a sentence's first real token, and no real token attends to padding, so that a
        sentence is encoded as if it were alone. The output at padding is undefined.
        """
        x = self.dropout(self.positions(self.word_dropout(self.embedding(src)), source_positions(mask.t()).t()))
        for layer in self.layers:
            x = layer(x, mask.t()[:, None, None])
        encoded: Tensor = self.norm(x)
        return encoded
