"""What `compare` needs to know."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nmt.config.checks import number, one_of


@dataclass
class CompareConfig:
    """`compare`: trained and scored runs side by side."""

    runs: list[str] = field(default_factory=list)
    """Run directories, or folders of a multirun that hold some; on the command line words without a key."""
    split: str = "test"
    """valid or test: whose scores, as `evaluate` left them in the runs."""
    testset: str | None = None
    """Instead of a split: a test set of sacrebleu, as `evaluate testset=` scored it, with all its references."""
    metric: str | None = None
    """The only score to compare by, as RUN/scores/SPLIT.json calls it; null: all of them, and BLEU where one is needed:
    by length, by frequency, sentence by sentence."""
    buckets: int = 4
    """Groups of about as many sentences, by length and by frequency of the rarest word."""
    sentences: int = 0
    """How many sentences to show side by side: those that two systems translate most differently well."""
    output: str | None = None
    """Folder for compare.md, compare.json and compare.png, which must not exist; with `sentences`, for them too."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if not self.runs:
            yield "runs", "is empty; name run directories, or folders that hold some: compare RUN RUN"
        yield from one_of(self, "split", ("valid", "test"))
        yield from number(self, "buckets", 1)
        yield from number(self, "sentences", 0)
