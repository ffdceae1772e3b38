"""Configuration of decoding: `search.*`."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from nmt.config.checks import number
from nmt.config.train import SentenceMetric


class SearchKind(StrEnum):
    """Decoding algorithms."""

    greedy = "greedy"
    beam = "beam"
    sampling = "sampling"
    mbr = "mbr"
    diverse = "diverse"


class LengthPenalty(StrEnum):
    """Length normalisations of the hypothesis score."""

    none = "none"
    average = "average"
    gnmt = "gnmt"


class MbrCandidates(StrEnum):
    """Candidate sets of minimum Bayes risk decoding."""

    samples = "samples"
    beam = "beam"
    both = "both"


class MbrReferences(StrEnum):
    """Pseudo-reference sets of minimum Bayes risk decoding."""

    samples = "samples"
    beam = "beam"


COPY_UNKNOWN = "copy"
"""Value of `replace_unknown` that copies source words."""
MAX_SAMPLES = 1000
"""Maximum number of samples per sentence."""


@dataclass
class SearchConfig:
    """Greedy, beam or diverse beam search, sampling, or minimum Bayes risk (MBR) decoding over their hypotheses."""

    kind: SearchKind = SearchKind.beam
    """Decoding algorithm."""
    beam_size: int = 5
    """Number of hypotheses kept at each step."""
    length_penalty: LengthPenalty = LengthPenalty.average
    """Divisor of the log-probability of a hypothesis. none: 1; average: length^alpha; gnmt: ((5 + length) / 6)^alpha
    (Wu et al. 2016, 7)."""
    alpha: float = 1.0
    """Strength of the length penalty; 0 disables it."""
    n_best: int = 1
    """Number of hypotheses returned per sentence, best first."""
    max_length_ratio: float = 2.0
    """Maximum length of a hypothesis as a multiple of the source length, before `max_length_offset` is added."""
    max_length_offset: int = 10
    """Number of pieces added to the maximum length."""
    min_length: int = 0
    """Minimum number of pieces before a hypothesis can end, not counting pieces that are only a space; 1 prevents empty
    translations. The maximum length takes precedence."""
    replace_unknown: str | None = None
    """Allow the unknown piece in hypotheses, and replace each target word that contains it by the source word with the
    most attention (Jean et al. 2015). copy: the source word itself; otherwise a file with source word and translation
    in tab-separated columns, in which the source word is looked up before it is copied; null: unknown pieces are never
    chosen."""
    max_source_pieces: int = 200
    """Maximum source length in pieces; longer lines are translated sentence by sentence. Models have not been trained
    on longer input, and those trained on short single sentences omit content even below this limit."""
    batch_size: int | None = None
    """Number of sentences decoded at once; null: as many as give 320 hypotheses."""
    groups: int = 5
    """diverse: number of groups of the beam, each of which avoids the words of earlier groups (Vijayakumar et al.
    2018)."""
    diversity: float = 0.5
    """diverse: penalty on a word, in nats, per hypothesis of an earlier group with that word at the same position."""
    block_ngrams: int = 0
    """Forbid repeating any n-gram of this size in a hypothesis (Paulus et al. 2018, 2.5); 0 disables blocking."""
    coverage_penalty: float = 0.0
    """Strength beta of the penalty on source pieces with little attention (Wu et al. 2016, eq. 14); 0 disables it."""
    shortlist: int | None = None
    """Number of target pieces per sentence that hypotheses may use: translations of the source pieces by a word
    translation model, and the most frequent pieces (Jean et al. 2015, 3.2); null: all pieces. Log-probabilities are
    those of a softmax over these pieces. Validation during training uses all pieces."""

    temperature: float = 1.0
    """sampling, mbr: divisor of the log-probabilities; values below 1 favour probable words."""
    top_k: int | None = None
    """sampling, mbr: sample only from the k most probable words (Fan et al. 2018); null: from all."""
    top_p: float = 1.0
    """sampling, mbr: sample only from the smallest set of words with this total probability (Holtzman et al. 2020)."""
    seed: int = 1
    """sampling, mbr: seed. The samples of a sentence depend on the seed and its pieces, and not on the rest of the
    batch."""
    mbr_candidates: MbrCandidates = MbrCandidates.beam
    """mbr: candidates. samples: mbr_samples samples; beam: the beam_size best hypotheses of beam search; both."""
    mbr_references: MbrReferences = MbrReferences.beam
    """mbr: pseudo-references. samples: equally weighted samples (Eikema and Aziz 2020); beam: beam-search hypotheses
    weighted by probability (Kumar and Byrne 2004)."""
    mbr_utility: SentenceMetric = SentenceMetric.chrf
    """mbr: utility, sentence-level chrF or BLEU from 0 to 100; BLEU uses the tokenizer data.bleu_tokenize."""
    mbr_samples: int = 50
    """mbr: number of samples per sentence."""
    mbr_alpha: float = 0.5
    """mbr: weight of a beam-search hypothesis, in proportion to probability^alpha; 0: equal weights."""

    @property
    def width(self) -> int:
        """Number of hypotheses kept per sentence."""
        match self.kind:
            case SearchKind.greedy:
                return 1
            case SearchKind.beam | SearchKind.diverse:
                return self.beam_size
            case SearchKind.sampling:
                return self.n_best
            case SearchKind.mbr:
                return self.mbr_samples * self.samples_needed + self.beam_size * self.beam_needed

    @property
    def max_n_best(self) -> int:
        """Largest possible n_best."""
        if self.kind != SearchKind.mbr:
            return MAX_SAMPLES if self.kind == SearchKind.sampling else self.width
        samples = self.mbr_samples * (self.mbr_candidates != MbrCandidates.beam)
        return samples + self.beam_size * (self.mbr_candidates != MbrCandidates.samples)

    @property
    def samples_needed(self) -> bool:
        """True if MBR decoding draws samples."""
        return self.mbr_candidates != MbrCandidates.beam or self.mbr_references == MbrReferences.samples

    @property
    def beam_needed(self) -> bool:
        """True if MBR decoding runs a beam search."""
        return self.mbr_candidates != MbrCandidates.samples or self.mbr_references == MbrReferences.beam

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "beam_size", 1, 1000)
        yield from number(self, "alpha", 0, 10)
        yield from number(self, "max_length_ratio", 0, 100)
        yield from number(self, "max_length_offset", 1, 10_000)
        yield from number(self, "min_length", 0, 10_000)
        if self.replace_unknown == "":
            yield "replace_unknown", "is empty; allowed: copy, a file of words and translations, or null"
        yield from number(self, "max_source_pieces", 8, 10_000)
        yield from number(self, "batch_size", 1, 10_000)
        yield from number(self, "diversity", 0, 1000)
        yield from number(self, "block_ngrams", 0, 1000)
        yield from number(self, "coverage_penalty", 0, 100)
        yield from number(self, "shortlist", 32, 10_000_000)
        if self.kind == SearchKind.diverse and (self.groups < 1 or self.beam_size % self.groups):
            yield "groups", f"is {self.groups}; allowed with search.kind=diverse: divisors of search.beam_size"
        yield from number(self, "temperature", 0.01, 100)
        yield from number(self, "top_k", 1)
        yield from number(self, "top_p", 0.001, 1)
        yield from number(self, "seed", 0, 2**63 - 1)
        yield from number(self, "mbr_samples", 1, MAX_SAMPLES)
        yield from number(self, "mbr_alpha", 0, 100)
        if not 1 <= self.n_best <= self.max_n_best:
            yield (
                "n_best",
                f"is {self.n_best}; allowed: from 1 to {self.max_n_best}, the number of hypotheses of this search",
            )
