"""A shortcut from source words to target words, past the recurrent layers."""

import torch
from torch import Tensor, nn


class Lexicon(nn.Module):
    """f_t = tanh(sum_s a_ts e_s), l_t = tanh(U (tanh(W f_t) + f_t)): after the lexicon of Nguyen and Chiang 2018.

    e are the source embeddings and a the attention's weights (of several heads the mean). The output reads l_t added
    to the attentional vector, so that a rare word's translation can be learnt from the word alone: the recurrent layers
    blend it with its context, for which they have seen few examples. In the paper U and the outer tanh are missing, and
    l_t has an output table of its own; sharing the other one makes a step of training half as fast again.
    """

    bound = 1.0
    """No number of the answer is larger."""

    def __init__(self, embed_size: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(embed_size, embed_size, bias=False)
        self.out = nn.Linear(embed_size, embed_size, bias=False)

    def forward(self, weights: Tensor, words: Tensor) -> Tensor:
        """Weights (B, T K, S), source embeddings (B, S, E) to what is added to the attentional vectors, (B, T K, E)."""
        attended = torch.bmm(weights, words.to(weights.dtype)).tanh()
        return torch.tanh(self.out(self.hidden(attended).tanh() + attended))
