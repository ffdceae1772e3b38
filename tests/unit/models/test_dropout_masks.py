"""Large dropout masks, drawn with 16 random bits per element: probabilities, independence, seeds."""

import math

import pytest
import torch

from nmt.models.layers.recurrent import LARGE_MASK, fill_dropout_mask_


@pytest.mark.parametrize("probability", [0.0, 0.02, 0.15, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("shape", [(LARGE_MASK,), (3, 501, 257), (2 * LARGE_MASK + 3,)])
def test_share_and_value_of_kept_elements(probability: float, shape: tuple[int, ...]) -> None:
    torch.manual_seed(1)
    mask = fill_dropout_mask_(torch.full(shape, math.nan), probability)
    kept = mask != 0
    torch.testing.assert_close(mask[kept], torch.full_like(mask[kept], 1 / (1 - probability)))
    spread = math.sqrt(probability * (1 - probability) / mask.numel())
    assert abs(float((~kept).double().mean()) - probability) <= 5 * spread + 2**-17


@pytest.mark.parametrize("distance", [1, 2, 3, 4, 7])
def test_elements_are_independent_within_a_word_and_between_words(distance: int) -> None:
    torch.manual_seed(2)
    dropped = (fill_dropout_mask_(torch.empty(2**20), 0.3) == 0).double()
    both = float((dropped[:-distance] * dropped[distance:]).mean())
    assert abs(both - 0.09) < 5 * math.sqrt(0.09 * 0.91 / 2**20)


def test_masks_follow_the_seed() -> None:
    def mask(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return fill_dropout_mask_(torch.empty(LARGE_MASK), 0.3)

    assert torch.equal(mask(3), mask(3))
    assert not torch.equal(mask(3), mask(4))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_masks_hold_the_rounded_value(dtype: torch.dtype) -> None:
    mask = fill_dropout_mask_(torch.empty(LARGE_MASK, dtype=dtype), 0.3)
    assert mask.dtype == dtype
    assert sorted(set(mask.tolist())) == [0.0, pytest.approx(1 / 0.7, rel=2**-7)]
