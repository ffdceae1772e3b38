"""Configuration of the command `back_translate`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nmt.config.checks import number
from nmt.config.data import CorpusLocation, symbol_problem
from nmt.config.machine import MachineConfig
from nmt.config.root import checkpoint_problems


@dataclass
class BackTranslationConfig:
    """`back_translate`: train on machine translations of monolingual text (Sennrich et al. 2016), in rounds."""

    run: str
    """Finished run of the direction to improve; it is not changed. Its configuration is that of all trainings."""
    text: str
    """Monolingual text in the target language of the run, one sentence per line, plain or gzip."""
    output: str
    """Folder for corpora, runs and report. If it exists, the same command continues there."""
    source_text: str | None = None
    """Monolingual text in the source language. The model of the direction translates it, and the reverse model is
    trained on it (iterative back-translation, Hoang et al. 2018)."""
    reverse: str | None = None
    """Finished run of the reverse direction for the first round; null: it is trained."""
    rounds: int = 1
    """Number of rounds. Each trains a reverse model, translates, and trains a model."""
    forward: bool = False
    """Train the models of the direction on the translations of `source_text`, too (Zhang and Zong 2016)."""
    keep: float = 0.9
    """Share of the translations that is kept: those with the highest log-probability per piece."""
    real_copies: int = 1
    """Number of times that each real pair occurs beside the synthetic pairs. With more than one,
    data.cleaning.drop_duplicates is off."""
    tag: str = "<BT>"
    """Tag before the source of each synthetic pair (Caswell et al. 2019), one piece of the vocabulary."""
    checkpoint: str = "best"
    """Checkpoint that translates: best, last, or average:N, the mean weights of the N latest."""
    training: dict[str, Any] = field(default_factory=dict)
    """Changes to the configuration of the trainings: +training={train.max_steps:12000,model.dropout:0.15}."""
    data: CorpusLocation = field(default_factory=CorpusLocation)
    """Location of the files of the run's corpus."""
    search: dict[str, Any] = field(default_factory=dict)
    """Changes to the search settings of the run, for the translation of monolingual text."""
    machine: MachineConfig = field(default_factory=MachineConfig)
    """Device, precision and threads."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from checkpoint_problems(self.checkpoint)
        yield from number(self, "rounds", 1, 100)
        yield from number(self, "keep", 0.01, 1)
        yield from number(self, "real_copies", 1, 1000)
        if problem := symbol_problem(self.tag):
            yield "tag", f"is {problem}"
        if self.forward and self.source_text is None:
            yield "forward", "is true with no text to translate; add source_text=FILE"
