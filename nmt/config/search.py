"""How the model is asked for a translation."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from nmt.config.checks import number
from nmt.config.train import SentenceMetric


class SearchKind(StrEnum):
    greedy = "greedy"
    beam = "beam"
    sampling = "sampling"
    mbr = "mbr"
    diverse = "diverse"


class LengthPenalty(StrEnum):
    none = "none"
    average = "average"
    gnmt = "gnmt"


class MbrCandidates(StrEnum):
    samples = "samples"
    beam = "beam"
    both = "both"


class MbrReferences(StrEnum):
    samples = "samples"
    beam = "beam"


MOST_SAMPLES = 1000


@dataclass
class SearchConfig:
    """Greedy, beam or diverse beam search, sampling, or minimum Bayes risk over what these find."""

    kind: SearchKind = SearchKind.beam
    beam_size: int = 5
    """Hypotheses kept at each step."""
    length_penalty: LengthPenalty = LengthPenalty.average
    """A hypothesis' log-probability is divided by 1, length^alpha, or ((5 + length) / 6)^alpha (Wu et al. 2016, 7)."""
    alpha: float = 1.0
    """Strength of the length penalty; 0 is no penalty."""
    n_best: int = 1
    """Hypotheses returned for a sentence, best first."""
    max_length_ratio: float = 2.0
    """A hypothesis ends after this times the source length ..."""
    max_length_offset: int = 10
    """... plus this many pieces."""
    min_length: int = 0
    """Number of pieces, those that write nothing but a space not counted, before which a hypothesis may not end; 1: no
    translation is empty. A hypothesis that has reached its greatest length ends all the same."""
    max_source_pieces: int = 200
    """A line with more pieces is translated sentence by sentence: models are not trained on longer ones, and lose
    content before that if they were trained on single short sentences."""
    batch_size: int | None = None
    """Sentences searched at once; null: as many as make 320 hypotheses."""
    groups: int = 5
    """diverse: parts of the beam, each of which avoids the words of those before it (Vijayakumar et al. 2018)."""
    diversity: float = 0.5
    """diverse: nats that a word loses for each hypothesis of an earlier group that takes it in the same place."""
    block_ngrams: int = 0
    """No hypothesis has the same so many pieces in a row twice (Paulus et al. 2018, 2.5); 0: it may."""
    coverage_penalty: float = 0.0
    """Strength beta of the penalty for source pieces that were looked at too little (Wu et al. 2016, eq. 14)."""

    temperature: float = 1.0
    """sampling, mbr: log-probabilities are divided by it before a word is drawn; below 1 the likely are likelier."""
    top_k: int | None = None
    """sampling, mbr: only the k likeliest words are drawn (Fan et al. 2018); null: all."""
    top_p: float = 1.0
    """sampling, mbr: only the fewest words that together have this probability are drawn (Holtzman et al. 2020)."""
    seed: int = 1
    """sampling, mbr: a sentence's samples depend on this and on its pieces, not on what stands beside it."""
    mbr_candidates: MbrCandidates = MbrCandidates.beam
    """mbr: what is chosen from: mbr_samples samples, the beam_size best of beam search, or both."""
    mbr_references: MbrReferences = MbrReferences.beam
    """mbr: what candidates are compared with: samples, which count alike (Eikema and Aziz 2020), or the beam's
    hypotheses by their probabilities (Kumar and Byrne 2004)."""
    mbr_utility: SentenceMetric = SentenceMetric.chrf
    """mbr: sentence chrF or BLEU, from 0 to 100; BLEU of the words of data.bleu_tokenize."""
    mbr_samples: int = 50
    """mbr: samples of a sentence."""
    mbr_alpha: float = 0.5
    """mbr: a beam's hypotheses count in proportion to probability^alpha; 0: all alike."""

    @property
    def width(self) -> int:
        """Hypotheses kept for a sentence."""
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
    def most(self) -> int:
        """The largest n_best."""
        if self.kind != SearchKind.mbr:
            return MOST_SAMPLES if self.kind == SearchKind.sampling else self.width
        samples = self.mbr_samples * (self.mbr_candidates != MbrCandidates.beam)
        return samples + self.beam_size * (self.mbr_candidates != MbrCandidates.samples)

    @property
    def samples_needed(self) -> bool:
        """mbr: whether samples are drawn."""
        return self.mbr_candidates != MbrCandidates.beam or self.mbr_references == MbrReferences.samples

    @property
    def beam_needed(self) -> bool:
        """mbr: whether a beam is searched."""
        return self.mbr_candidates != MbrCandidates.samples or self.mbr_references == MbrReferences.beam

    def problems(self) -> Iterator[tuple[str, str]]:
        yield from number(self, "beam_size", 1, 1000)
        yield from number(self, "alpha", 0, 10)
        yield from number(self, "max_length_ratio", 0, 100)
        yield from number(self, "max_length_offset", 1, 10_000)
        yield from number(self, "min_length", 0, 10_000)
        yield from number(self, "max_source_pieces", 8, 10_000)
        yield from number(self, "batch_size", 1, 10_000)
        yield from number(self, "diversity", 0, 1000)
        yield from number(self, "block_ngrams", 0, 1000)
        yield from number(self, "coverage_penalty", 0, 100)
        if self.kind == SearchKind.diverse and (self.groups < 1 or self.beam_size % self.groups):
            yield "groups", f"is {self.groups}; allowed with search.kind=diverse: what divides search.beam_size"
        yield from number(self, "temperature", 0.01, 100)
        yield from number(self, "top_k", 1)
        yield from number(self, "top_p", 0.001, 1)
        yield from number(self, "seed", 0, 2**63 - 1)
        yield from number(self, "mbr_samples", 1, MOST_SAMPLES)
        yield from number(self, "mbr_alpha", 0, 100)
        if not 1 <= self.n_best <= self.most:
            yield "n_best", f"is {self.n_best}; allowed: from 1 to {self.most}, what the search keeps"
