"""Language identification by py3langid: naive Bayes on character n-grams (Lui and Baldwin 2012)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from nmt.config import DataConfig
from nmt.lab.doctor.findings import Finding, Limits, Share, Tally, Verdict, worst_share
from nmt.lab.doctor.scan import Entry

LETTERS = 20  # minimum number of letters of a sentence whose language is identified
DOUBT = 0.05  # probability of the expected language below which a sentence counts as another language
LINES = 250  # sentences per split that are identified


@dataclass
class Languages:
    """Counts of sentences in another language than the configured one."""

    src: str
    tgt: str
    other: dict[str, Tally] = field(default_factory=dict)
    swapped: dict[str, Tally] = field(default_factory=dict)
    looked_at: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    @property
    def unknown(self) -> list[str]:
        """Configured languages without a model in the identifier."""
        return [code for code in (self.src, self.tgt) if code not in self.identifier.labels]

    def look_at(self, split: str, sample: Sequence[Entry]) -> None:
        """Identify the languages of some pairs of a split."""
        long = [entry for entry in sample if min(map(letters, entry.sides)) >= LETTERS]
        chosen = long[:: max(1, len(long) // LINES)][:LINES]
        tallies = {place: self.other.setdefault(place, Tally()) for place in (f"{split}.src", f"{split}.tgt")}
        swapped = self.swapped.setdefault(split, Tally())
        self.looked_at[split] = len(chosen)
        for line, src, tgt in chosen:
            identified = [self.identify(src, self.src), self.identify(tgt, self.tgt)]
            if identified == [self.tgt, self.src]:
                swapped.add(line)
            else:
                for tally, language, expected in zip(tallies.values(), identified, (self.src, self.tgt), strict=True):
                    if language != expected:
                        tally.add(line)

    def identify(self, text: str, expected: str) -> str:
        """Return the expected language if its probability is at least `DOUBT`, otherwise the most likely one."""
        ranked = self.identifier.rank(text)
        return expected if dict(ranked)[expected] >= DOUBT else str(ranked[0][0])

    def findings(self) -> list[Finding]:
        wrong = [Share(place, tally, self.looked_at[place.split(".")[0]]) for place, tally in self.other.items()]
        swapped = [Share(split, tally, self.looked_at[split]) for split, tally in self.swapped.items()]
        return [
            worst_share(
                "swapped sides",
                "sampled pairs have source and target swapped",
                swapped,
                Limits(0.01, 0.05),
                "swap src and tgt of data.{split}, or data.src_lang and data.tgt_lang",
            ),
            worst_share(
                "language",
                f"sampled sentences are not in the configured language ({self.src}-{self.tgt})",
                wrong,
                Limits(0.05, 0.3),
                "check the files of data.{split}, and data.src_lang and data.tgt_lang",
            ),
        ]


def examine_languages(config: DataConfig, samples: dict[str, Sequence[Entry]]) -> list[Finding]:
    """Check the languages of samples of all splits."""
    src, tgt = (code.replace("_", "-").split("-")[0].lower() for code in (config.src_lang, config.tgt_lang))
    languages = Languages(src, tgt)
    if languages.unknown:
        text = f"not judged: no language model for {', '.join(languages.unknown)}"
        return [Finding("language", Verdict.ok, text)]
    for split, sample in samples.items():
        languages.look_at(split, sample)
    return languages.findings()


def letters(text: str) -> int:
    return sum(map(str.isalpha, text))


@cache
def identifier() -> LanguageIdentifier:
    """Return the identifier of all languages, loaded once."""
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language_scores(text: str, codes: Sequence[str]) -> list[tuple[str, float]]:
    """Return the probabilities of these languages among all, highest first. Those without a model are omitted.

    Codes of one language in several regions have the same probability.
    """
    by_label: dict[str, list[str]] = {}
    for code in dict.fromkeys(codes):
        by_label.setdefault(code.split("-")[0].lower(), []).append(code)
    return [(code, float(score)) for label, score in identifier().rank(text) for code in by_label.get(label, ())]
