"""Configuration of the command `compare`."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nmt.config.checks import number
from nmt.config.data import CorpusLocation
from nmt.config.root import test_set_name


@dataclass
class CompareConfig:
    """`compare`: compare trained and scored runs."""

    runs: list[str] = field(default_factory=list)
    """Run directories, or folders that contain some, such as a multirun; words without a key on the command line."""
    split: str = "test"
    """Scores to compare, as `evaluate` wrote them to the runs: valid, test, a further test set of the corpus, or the
    name of any RUN/scores/NAME.json, as `evaluate src=FILE ref=FILE name=NAME` recorded it."""
    data: CorpusLocation = field(default_factory=CorpusLocation)
    """Location of the corpus's files, for further test sets."""
    testset: str | None = None
    """Test set of sacrebleu to compare on, as `evaluate testset=` scored it, with all its references; replaces
    `split`."""
    metric: str | None = None
    """Metric to compare by, named as in RUN/scores/SPLIT.json; null: all, and BLEU for tables by length, by frequency
    and by sentence."""
    judgements: str | None = None
    """Folder of a campaign of `human_eval` with imported ratings; adds the score `human` of the judged runs."""
    exclude_failed: bool = False
    """Leave out raters of `judgements` who fail a check of `human_eval` with its default limits."""
    buckets: int = 4
    """Number of groups of about equal size, by length and by frequency of the rarest word."""
    sentences: int = 0
    """Number of sentences to show side by side: those with the largest difference in quality between two systems."""
    output: str | None = None
    """Folder for compare.md, compare.json and compare.png, and the files of `sentences`; it must not exist. null: print
    only."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if not self.runs:
            yield "runs", "is empty; name run directories, or folders that hold some: compare RUN RUN"
        yield from test_set_name(self)
        if self.exclude_failed and self.judgements is None:
            yield "exclude_failed", "needs judgements; give the folder of a campaign"
        yield from number(self, "buckets", 1)
        yield from number(self, "sentences", 0)
