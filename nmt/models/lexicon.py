"""Lexicon module: a direct path from source embeddings to the output, past the recurrent layers."""

import torch
from torch import Tensor, nn


class Lexicon(nn.Module):
    """Lexicon module after Nguyen and Chiang 2018: f_t = tanh(sum_s a_ts e_s), l_t = tanh(U (tanh(W f_t) + f_t)).

    e are the source embeddings and a the attention weights (the mean over heads for multi-head attention). The output
    layer reads the sum of l_t and the attentional vector. The translation of a rare word can thus be learnt from the
    word alone, whereas recurrent layers mix it with contexts of which they have seen few examples.

    The paper has neither U nor the outer tanh, and gives l_t an output table of its own. Sharing the existing output
    table makes a training step about 1.5 times as fast.
    """

    bound = 1.0
    """Largest magnitude of an output."""

    def __init__(self, embed_size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(embed_size, embed_size, bias=False)
        self.out = nn.Linear(embed_size, embed_size, bias=False)

    def forward(self, weights: Tensor, words: Tensor) -> Tensor:
        """Return the vectors (B, T K, E) to add to the attentional vectors.

        Args:
            weights: attention weights, (B, T K, S).
            words: source embeddings, (B, S, E).
        """
        attended = torch.bmm(weights, words.to(weights.dtype)).tanh()
        return torch.tanh(self.out(self.hidden(attended).tanh() + attended))
