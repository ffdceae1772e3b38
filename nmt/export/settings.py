"""Settings of an exported folder."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StateTensor:
    """Tensor of the decoder's state: an output of the encoder and an input of the step."""

    name: str
    per_hypothesis: bool
    """True if it has one row per hypothesis, so that the step returns it; False: one per sentence, which stays."""
    axis: int
    """Axis of the rows."""
