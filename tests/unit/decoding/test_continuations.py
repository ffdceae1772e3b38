"""The blockwise selection of continuations, compared with sorting the whole vocabulary."""

import pytest
import torch

from nmt.decoding.beam import best_continuations


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("words", [7, 101, 128, 4000])
@pytest.mark.parametrize("hypotheses", [1, 5])
def test_the_best_continuations_are_those_of_sorting_everything(hypotheses: int, words: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(6, hypotheses, generator=generator)
    log_probs = torch.randn(6, hypotheses, words, generator=generator).log_softmax(dim=2)
    log_probs[0, :, 3:] = float("-inf")
    count = min(10, hypotheses * words)
    totals = (scores.unsqueeze(2) + log_probs).flatten(1)
    expected = totals.topk(count, dim=1)
    best, parent, word = best_continuations(scores, log_probs, count)
    assert torch.equal(best, expected.values)
    finite = best.isfinite()
    assert torch.equal((parent * words + word)[finite], expected.indices[finite])
