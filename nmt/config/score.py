"""Configuration of the command `score`."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from nmt.config.checks import one_of, one_standard_input
from nmt.config.data import BLEU_TOKENIZERS


@dataclass
class ScoreConfig:
    """`score`: score a file of translations from any source against references."""

    hyp: str
    """File of detokenised translations, one per line."""
    further_hyps: list[str] = field(default_factory=list)
    """Files of other translations of the same sentences; each is tested against `hyp` for a significant difference."""
    ref: str | None = None
    """File of reference translations, one per line."""
    further_refs: list[str] = field(default_factory=list)
    """Files of additional references. The signature states the number of references."""
    src: str | None = None
    """File of source sentences, required by COMET only."""
    testset: str | None = None
    """Test set of sacrebleu, by its name there, such as wmt14; replaces the files."""
    pair: str | None = None
    """Language pair of the test set, such as en-de."""
    bleu_tokenize: str = "13a"
    """Tokenizer of sacrebleu for BLEU and ROUGE-L; `none` for text that is already tokenised."""
    comet: str | None = None
    """COMET model to score with as well, such as Unbabel/wmt22-comet-da, or a .ckpt file from a source you trust."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if (self.ref is None) == (self.testset is None):
            yield "ref", "or testset is required; give exactly one of them"
        if self.further_refs and self.ref is None:
            yield "further_refs", "needs ref; give the first reference file as ref=FILE"
        files = [self.hyp, *self.further_hyps]
        if len(set(files)) < len(files):
            yield "further_hyps", "and hyp name a file twice; give different files"
        yield from one_standard_input(
            hyp=self.hyp,
            further_hyps=self.further_hyps,
            ref=self.ref,
            src=self.src,
            further_refs=self.further_refs,
        )
        if (self.testset is None) != (self.pair is None):
            yield "testset", "and pair must be given together; give both, such as testset=wmt14 pair=en-de, or neither"
        if self.testset is not None and self.src is not None:
            yield "src", "is given but the test set has its own source sentences; leave src out"
        if self.comet is not None and self.testset is None and self.src is None:
            yield "comet", "needs the source sentences; give src=FILE"
        yield from one_of(self, "bleu_tokenize", BLEU_TOKENIZERS)
