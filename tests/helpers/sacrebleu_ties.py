"""sacrebleu's rule for trials of approximate randomisation that differ exactly as much as the systems do."""

import numpy as np


def without_ties(by_chance: np.ndarray, observed: float) -> float:
    """Return the p-value of sacrebleu, which leaves such trials out."""
    return float((np.sum(by_chance > observed) + 1) / (len(by_chance) + 1))
