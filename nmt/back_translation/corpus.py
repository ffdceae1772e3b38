"""Folder with the corpus of a run, monolingual text and synthetic pairs, and its configuration in both directions."""

import logging
from collections.abc import Iterable, Sequence, Set
from dataclasses import replace
from pathlib import Path

from nmt.config import DataConfig, TextFiles, user_path, with_described_tests
from nmt.config.data import CleaningConfig
from nmt.data import locate_test_set, normalise, read_lines, write_lines
from nmt.data.preprocessing.cleaning import CleaningReport, clean, digests, loose
from nmt.errors import UserError
from nmt.metrics.scores import CJK_TOKENIZERS
from nmt.run import RunDirectory
from nmt.run_corpus import write_corpus

CHARACTER_LANGUAGES = ("zh", "ja", "th", "lo", "km", "my")
"""Languages without spaces between words, whose translations a reverse model scores by characters."""
LANGUAGE_TOKENIZERS = (*CJK_TOKENIZERS, "char")
"""Tokenizers of BLEU for one target language, which the reverse model does not use."""
MIN_SENTENCES = 10
"""Smallest number of sentences of a monolingual text, and of its pairs that are kept."""

log = logging.getLogger(__name__)


class SyntheticCorpus:
    """Folder of text files: `train.LANGUAGE` and held-out sets of a run, `mono.LANGUAGE`, synthetic `NAME.LANGUAGE`."""

    def __init__(self, folder: Path, data: DataConfig, tag: str) -> None:
        """
        Args:
            folder: folder of the files.
            data: corpus of the run, with the locations of its files on this machine.
            tag: tag before the source of each synthetic pair.
        """
        self.folder, self.data, self.tag = folder, data, tag
        self.languages = data.src_lang, data.tgt_lang

    def begin(self, run: RunDirectory, texts: Sequence[tuple[str, str]]) -> None:
        """Write the corpus of the run and the monolingual texts, given as language and file, unless they exist.

        Repetitions are left out, and so are sentences that have a translation in the training set, or that are in a
        held-out set in any letter case and punctuation.

        Raises:
            UserError: a file cannot be read, or a text has too few sentences.
        """
        if not self.folder.exists():
            write_corpus(run, self.data, self.folder)
        self.copy_test_sets(with_described_tests(self.data))
        for language, text in texts:
            path = self.folder / f"mono.{language}"
            if path.exists():
                continue
            held_out = {loose(line) for line in self.held_out(language)}
            translated = set(map(normalise, read_lines(self.folder / f"train.{language}")))
            lines = new_sentences(read_lines(user_path(text)), held_out, translated)
            if len(lines) < MIN_SENTENCES:
                raise UserError(
                    f"{text} has {len(lines)} sentences beside repetitions, training and held-out ones; give a text of "
                    f"at least {MIN_SENTENCES}"
                )
            write_lines(path, lines)
            log.info("%s: %d sentences", text, len(lines))

    def copy_test_sets(self, data: DataConfig) -> None:
        """Copy the further test sets of the run's corpus that can be found."""
        for name in data.test_names:
            if name not in data.tests or all(self.test_path(name, language).exists() for language in self.languages):
                continue
            try:
                pairs = list(locate_test_set(data, name).pairs())
            except UserError as error:
                log.warning("the test set %s is not in the corpus: %s; a text may contain its sentences", name, error)
                continue
            (self.folder / "tests").mkdir(exist_ok=True)
            self.write_sides(f"tests/{name}", [(normalise(src), normalise(tgt)) for src, tgt in pairs])

    def test_path(self, name: str, language: str) -> Path:
        """Return the path of one side of a further test set."""
        return self.folder / "tests" / f"{name}.{language}"

    def held_out(self, language: str) -> list[str]:
        """Return the sentences of all held-out sets in a language."""
        paths = [self.folder / f"{split}.{language}" for split in ("valid", "test")]
        paths += sorted((self.folder / "tests").glob(f"*.{language}"))
        return [normalise(line) for path in paths if path.exists() for line in read_lines(path)]

    def text(self, language: str) -> list[str]:
        """Return the monolingual text in a language."""
        return list(read_lines(self.folder / f"mono.{language}"))

    def has_pairs(self, name: str) -> bool:
        """Return whether both sides of synthetic pairs are written."""
        return all((self.folder / f"{name}.{language}").exists() for language in self.languages)

    def write_pairs(self, name: str, pairs: Iterable[tuple[str, str]], cleaning: CleaningConfig) -> None:
        """Clean pairs of source and target of the run's direction, and write them.

        Raises:
            UserError: too few pairs are left.
        """
        held_out = digests(zip(*map(self.held_out, self.languages), strict=True))
        report = CleaningReport()
        kept = list(clean(pairs, cleaning, held_out, report))
        if len(kept) < MIN_SENTENCES:
            raise UserError(
                f"{name}: {len(kept)} of {report.read} pairs are left after data.cleaning, fewer than {MIN_SENTENCES}; "
                "give a longer text, or raise keep"
            )
        self.write_sides(name, kept)
        log.info("%s: %d pairs kept", name, len(kept))

    def write_sides(self, stem: str, pairs: Sequence[tuple[str, str]]) -> None:
        """Write both sides of pairs to `STEM.LANGUAGE`."""
        for side, language in enumerate(self.languages):
            write_lines(self.folder / f"{stem}.{language}", (pair[side] for pair in pairs))

    def tagged(self, name: str, language: str) -> str:
        """Write one side of synthetic pairs with the tag before each line, and return the file's name."""
        path = self.folder / f"{name}.tagged.{language}"
        if not path.exists():
            lines = read_lines(self.folder / f"{name}.{language}")
            write_lines(path, (f"{self.tag} {line}" for line in lines))
        return path.name

    def config(self, src: str, names: Sequence[str], copies: int) -> DataConfig:
        """Return the configuration of the corpus in the direction from `src`.

        Args:
            src: one of the two languages.
            names: synthetic pairs that are added to the real ones.
            copies: number of times that each real pair occurs.
        """
        tgt = self.languages[0] if src == self.languages[1] else self.languages[1]
        train = TextFiles(
            src=[f"train.{src}"] * copies + [self.tagged(name, src) for name in names],
            tgt=[f"train.{tgt}"] * copies + [f"{name}.{tgt}" for name in names],
        )

        def files(*stems: str) -> TextFiles:
            return TextFiles(src=[f"{stem}.{src}" for stem in stems], tgt=[f"{stem}.{tgt}" for stem in stems])

        further = [path.stem for path in sorted((self.folder / "tests").glob(f"*.{src}"))]
        data, tokenizer = self.data, self.data.tokenizer
        if src != data.src_lang:
            tokenizer = replace(tokenizer, src_file=tokenizer.tgt_file, tgt_file=tokenizer.src_file)
        symbols = list(dict.fromkeys([*tokenizer.user_symbols, self.tag]))
        return replace(
            data,
            src_lang=src,
            tgt_lang=tgt,
            root=str(self.folder.absolute()),
            download=None,
            mirror=None,
            phrasebook=None,
            strings=None,
            train=train,
            valid=files("valid"),
            test=files("test") if (self.folder / f"test.{src}").exists() else TextFiles(),
            tests={name: files(f"tests/{name}") for name in further},
            most_pairs=None,
            bleu_tokenize=bleu_tokenizer(data, tgt),
            cleaning=replace(data.cleaning, drop_duplicates=data.cleaning.drop_duplicates and copies == 1),
            tokenizer=replace(tokenizer, user_symbols=symbols),
        )


def bleu_tokenizer(data: DataConfig, tgt: str) -> str:
    """Return the tokenizer of BLEU for translations into one of the two languages of a corpus."""
    if tgt == data.tgt_lang:
        return data.bleu_tokenize
    if tgt.split("-")[0].lower() in CHARACTER_LANGUAGES:
        return "char"
    return "13a" if data.bleu_tokenize in LANGUAGE_TOKENIZERS else data.bleu_tokenize


def new_sentences(lines: Iterable[str], held_out: Set[str], translated: Set[str]) -> list[str]:
    """Return normalised lines in their order, without empty ones, repetitions, training and held-out sentences.

    Args:
        lines: the text.
        held_out: held-out sentences in the form of `loose`, without letter case and punctuation.
        translated: normalised sentences of the training set.
    """
    normalised = dict.fromkeys(normalise(line) for line in lines)
    return [line for line in normalised if line and line not in translated and (loose(line) or line) not in held_out]


def most_probable(scores: Sequence[float], share: float) -> list[int]:
    """Return the indices of the largest scores, in their order; `share` is the share of all that is returned."""
    best = sorted(range(len(scores)), key=lambda index: -scores[index])[: round(share * len(scores))]
    return sorted(best)
