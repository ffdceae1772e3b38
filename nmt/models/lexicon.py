"""A shortcut from source words to target words, past the recurrent layers."""

import torch
from torch import Tensor, nn


class Lexicon(nn.Module):
    """f_t = tanh(sum_s a_ts e_s), l_t = tanh(W f_t) + f_t: the lexical module of Nguyen and Chiang 2018.

    e are the source embeddings and a the attention's weights (of several heads the mean). The output adds V l_t to its
    logits, so that a rare word's translation can be learnt from the word alone: the recurrent layers blend it with its
    context, for which they have seen few examples.
    """

    bound = 2.0
    """No output is larger: a sum of two numbers between -1 and 1."""

    def __init__(self, embed_size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(embed_size, embed_size, bias=False)

    def forward(self, weights: Tensor, words: Tensor) -> Tensor:
        """Weights (B, T K, S) and source embeddings (B, S, E) to what the output reads, (B, T K, E)."""
        attended = torch.bmm(weights, words.to(weights.dtype)).tanh()
        result: Tensor = self.hidden(attended).tanh() + attended
        return result
