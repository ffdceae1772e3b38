"""Configuration of the command `shortlist`."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nmt.config.checks import number


@dataclass
class ShortlistConfig:
    """`shortlist`: build the tables of `search.shortlist` for a run and print their coverage of references."""

    run: str
    """Run directory; the tables are written to its folder shortlist/ and replace those that are there."""
    sizes: list[int] = field(default_factory=lambda: [250, 500, 1000, 2000])
    """Values of search.shortlist for which the coverage of the validation set is computed."""
    pairs: int = 200_000
    """Number of training pairs that the word translation model reads, spread evenly over the corpus."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "pairs", 1)
        if not self.sizes or min(self.sizes) < 1:
            yield "sizes", f"is {self.sizes}; give one or more positive numbers"
