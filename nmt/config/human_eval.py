"""Configuration of the command `human_eval`."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nmt.config.checks import number, one_of
from nmt.config.data import BLEU_TOKENIZERS

ACTIONS = ("export", "import", "score")
JUDGEMENT_KINDS = ("da", "esa", "pairwise")


@dataclass
class HumanEvalConfig:
    """`human_eval`: have people judge translations: `export` sheets, `import` the answers, `score` the systems."""

    action: str
    """Action: export, import or score; the first word on the command line."""
    folder: str
    """Folder of the campaign. `export` creates it; `import` and `score` read it."""
    runs: list[str] = field(default_factory=list)
    """`export`: runs with scores, as `evaluate` wrote them. Each run is one system."""
    split: str = "test"
    """`export`: recorded name of the runs' scores, as in `compare`."""
    hyps: list[str] = field(default_factory=list)
    """`export`: files of translations, one per line; each is one system, named by its path. Needs src and ref."""
    src: str | None = None
    """`export` with hyps: file of source sentences."""
    ref: str | None = None
    """`export` with hyps: file of reference translations, for the metrics of `score`; people do not see them."""
    kind: str = "da"
    """Kind of judgement: da (0 to 100), esa (error spans, then 0 to 100) or pairwise (first, second or equal)."""
    sentences: int = 50
    """`export`: number of sentences, drawn at random; all systems are judged on the same ones."""
    raters: int = 2
    """`export`: number of raters, which is the number of sheets."""
    ratings: int = 2
    """`export`: number of raters who judge a sentence. Agreement can be computed if it is at least 2."""
    repeats: int = 5
    """`export`: number of items per sheet that are shown twice to check the consistency of the rater."""
    damaged: int = 5
    """`export`: number of items per sheet that are shown again with damaged words, to check attention."""
    seed: int = 1
    """`export`: seed of the choice of sentences, the order and the damaged words."""
    answers: list[str] = field(default_factory=list)
    """`import`: files with answers: the filled sheets, the files that the forms saved, annotations of Pearmut."""
    min_damaged: float = 0.75
    """`import`, `score`: smallest share of damaged items that a rater must rate below the intact ones; 0: no check."""
    max_repeat_difference: float | None = None
    """`import`, `score`: largest mean difference, in points, between two ratings of the same item, and for pairwise
    judgements the largest percentage of changed answers; null: 20 points, 40 per cent."""
    exclude_failed: bool = False
    """`score`: leave out raters who fail a check. The report names them either way."""
    comet: str | None = None
    """`score`: COMET model to correlate with as well, or a .ckpt file from a source you trust."""
    bleu_tokenize: str = "13a"
    """`score`: tokenizer of sacrebleu for BLEU."""
    output: str | None = None
    """`score`: folder for human_eval.md and human_eval.json; it must not exist. null: print only."""

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from one_of(self, "action", ACTIONS)
        yield from one_of(self, "kind", JUDGEMENT_KINDS)
        yield from one_of(self, "bleu_tokenize", BLEU_TOKENIZERS)
        for name, low in (("sentences", 1), ("raters", 1), ("ratings", 1), ("repeats", 0), ("damaged", 0)):
            yield from number(self, name, low)
        yield from number(self, "min_damaged", 0, 1)
        if self.max_repeat_difference is not None:
            yield from number(self, "max_repeat_difference", 0, 100)
        if self.ratings > self.raters:
            yield "ratings", f"is {self.ratings}, but there are {self.raters} raters; give raters={self.ratings}"
        if self.action == "export":
            yield from self.export_problems()
        if self.action == "import" and not self.answers:
            yield "answers", "is empty; name the files with the answers: answers=[FILE,FILE]"

    def export_problems(self) -> Iterator[tuple[str, str]]:
        if bool(self.runs) == bool(self.hyps):
            yield "runs", "or hyps is required; give exactly one of them"
        if self.hyps and (self.src is None or self.ref is None):
            yield "hyps", "needs the source and the reference sentences; give src=FILE ref=FILE"
        if self.runs and (self.src is not None or self.ref is not None):
            yield "src", "and ref belong to hyps; runs have their own sentences, so leave them out"
        if self.kind == "pairwise" and len(self.runs or self.hyps) == 1:
            yield "kind", "is pairwise, which needs at least two systems; add a run or a file"
