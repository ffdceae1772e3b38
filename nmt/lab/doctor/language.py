"""Which language a side is in, by py3langid: character n-grams and naive Bayes (Lui and Baldwin 2012)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from nmt.config import DataConfig
from nmt.lab.doctor.findings import Finding, Limits, Share, Tally, Verdict, worst_share
from nmt.lab.doctor.scan import Entry

LETTERS = 20  # of a sentence, below which its language is a guess
DOUBT = 0.05  # probability of the language that it should be, below which it is in another
LINES = 250  # sentences of each split that are looked at


@dataclass
class Languages:
    """Counts sentences that are in another language than the configuration says."""

    src: str
    tgt: str
    other: dict[str, Tally] = field(default_factory=dict)
    swapped: dict[str, Tally] = field(default_factory=dict)
    looked_at: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)

    @property
    def unknown(self) -> list[str]:
        """Languages of the configuration that the identifier does not know."""
        return [code for code in (self.src, self.tgt) if code not in self.identifier.labels]

    def look_at(self, split: str, sample: Sequence[Entry]) -> None:
        """Takes some pairs of a split."""
        long = [entry for entry in sample if min(map(letters, entry.sides)) >= LETTERS]
        chosen = long[:: max(1, len(long) // LINES)][:LINES]
        tallies = {place: self.other.setdefault(place, Tally()) for place in (f"{split}.src", f"{split}.tgt")}
        swapped = self.swapped.setdefault(split, Tally())
        self.looked_at[split] = len(chosen)
        for line, src, tgt in chosen:
            found = [self.found(src, self.src), self.found(tgt, self.tgt)]
            if found == [self.tgt, self.src]:
                swapped.add(line)
            else:
                for tally, language, expected in zip(tallies.values(), found, (self.src, self.tgt), strict=True):
                    if language != expected:
                        tally.add(line)

    def found(self, text: str, expected: str) -> str:
        """The likeliest language, or the expected one unless that is out of the question."""
        ranked = self.identifier.rank(text)
        return expected if dict(ranked)[expected] >= DOUBT else str(ranked[0][0])

    def findings(self) -> list[Finding]:
        wrong = [Share(place, tally, self.looked_at[place.split(".")[0]]) for place, tally in self.other.items()]
        swapped = [Share(split, tally, self.looked_at[split]) for split, tally in self.swapped.items()]
        return [
            worst_share(
                "swapped sides",
                "sampled pairs have source and target the wrong way round",
                swapped,
                Limits(0.01, 0.05),
                "swap src and tgt of data.{split}, or data.src_lang and data.tgt_lang",
            ),
            worst_share(
                "language",
                f"sampled sentences are not in the language named ({self.src}-{self.tgt})",
                wrong,
                Limits(0.05, 0.3),
                "check the files of data.{split}; data.src_lang and data.tgt_lang name the languages",
            ),
        ]


def examine_languages(config: DataConfig, samples: dict[str, Sequence[Entry]]) -> list[Finding]:
    """Looks at samples of all splits."""
    src, tgt = (code.replace("_", "-").split("-")[0].lower() for code in (config.src_lang, config.tgt_lang))
    languages = Languages(src, tgt)
    if languages.unknown:
        text = f"not judged: no model of {', '.join(languages.unknown)}"
        return [Finding("language", Verdict.ok, text)]
    for split, sample in samples.items():
        languages.look_at(split, sample)
    return languages.findings()


def letters(text: str) -> int:
    return sum(map(str.isalpha, text))
