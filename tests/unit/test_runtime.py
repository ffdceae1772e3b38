"""Precision that is chosen for a processor."""

import pytest
import torch

from nmt.runtime import fast_bfloat16


@pytest.mark.parametrize(
    ("amx", "avx512_bf16", "expected"),
    [(False, False, False), (True, False, True), (False, True, True), (True, True, True)],
)
def test_bfloat16_is_chosen_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, amx: bool, avx512_bf16: bool, expected: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    assert fast_bfloat16(torch.device("cpu")) is expected
