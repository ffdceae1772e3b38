"""The short form of sentence statistics against sacrebleu's statistics."""

import random

import numpy as np
import pytest

from nmt.metrics import Scorer, restore, shorten

SIGNATURES = {
    "bleu": "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0",
    "chrf": "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0",
}


@pytest.mark.parametrize("score", SIGNATURES)
def test_statistics_are_restored_exactly(score: str) -> None:
    draw = random.Random(1)
    lines = [
        [" ".join(draw.choices(["a", "b", "ab,", "cd."], k=draw.randrange(9))) for _ in range(60)] for _ in range(2)
    ]
    scorer = Scorer.from_signature(SIGNATURES[score])
    assert scorer is not None
    table = scorer.table(lines[0], lines[1])
    lengths, rows = shorten(score, table)
    restored = restore(score, lengths, rows)
    assert restored.dtype == table.dtype
    assert np.array_equal(restored, table)
    assert rows.size < table.size / 1.8


def test_statistics_of_another_form_are_refused() -> None:
    with pytest.raises(ValueError, match="lengths and matches do not determine"):
        shorten("bleu", np.array([[3, 3, 2, 1, 0, 0, 3, 2, 2, 0]]))
    with pytest.raises(ValueError, match="another form"):
        shorten("chrf", np.zeros((2, 24), dtype=np.int64))
