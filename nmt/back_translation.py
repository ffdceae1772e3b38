"""Training on machine translations of monolingual text, in rounds.

In back-translation (Sennrich et al. 2016) the target of a pair is real text and its source a translation; in forward
translation (Zhang and Zong 2016) the source is real. Each round translates with the models of the round before (Hoang
et al. 2018). The source of a synthetic pair begins with a tag (Caswell et al. 2019).
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nmt.config import BackTranslationConfig, Config, DataConfig, SearchConfig, TextFiles, user_path, with_values
from nmt.data import normalise, read_json, read_lines, write_json, write_lines
from nmt.decoding import Candidate, load_translator
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet, score_translations, translate_with_bar
from nmt.run import RunDirectory
from nmt.run_corpus import write_corpus
from nmt.runtime import Runtime

TrainRun = Callable[[Config, Path], RunDirectory]
"""Function that trains a run in a folder, or continues it, and returns it when it is finished."""
CHARACTER_LANGUAGES = ("zh", "ja", "th", "lo", "km", "my")
"""Languages without spaces between words, whose translations a reverse model scores by characters."""
LEAST_PAIRS = 10
"""Number of synthetic pairs below which a round does not train."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Round:
    """Figures of one round; round 0 is the run that the rounds begin with."""

    number: int
    run: str
    """Run directory of the model."""
    scores: dict[str, dict[str, Any]]
    """BLEU, chrF and perplexity of the model on the validation set, with signatures."""
    reverse: str | None = None
    """Run directory of the reverse model."""
    reverse_scores: dict[str, dict[str, Any]] | None = None
    """The same scores of the reverse model on its validation set."""
    pairs: int = 0
    """Number of synthetic pairs that the model was trained on."""


class BackTranslation:
    """Rounds of back-translation in a folder, which the same settings continue."""

    def __init__(
        self,
        run: RunDirectory,
        config: BackTranslationConfig,
        search: SearchConfig,
        runtime: Runtime,
        train_run: TrainRun,
    ) -> None:
        """
        Raises:
            UserError: the run does not support back-translation, `training` has a wrong key or value, a text cannot be
                read, or `reverse` is not a run of the reverse direction.
        """
        self.run, self.config, self.runtime, self.train_run = run, config, runtime, train_run
        self.search = replace(search, shortlist=None, replace_unknown=None)  # both belong to one direction of a run
        self.base = run.config()
        data = self.base.data
        if data.directions or data.factors:
            key = "data.directions" if data.directions else "data.factors"
            raise UserError(f"run={run.path} has {key}, which back_translate does not support; train a run without it")
        if search.n_best > 1:
            raise UserError(f"search.n_best={search.n_best}: each sentence has one translation; set search.n_best=1")
        self.src, self.tgt = data.src_lang, data.tgt_lang
        self.folder = user_path(config.output)
        self.corpus = self.folder / "corpus"
        self.first_reverse = None if config.reverse is None else self.open_reverse(config.reverse)
        self.mixture(self.src, self.tgt, [])  # checks `training` before any work, and the next line the texts
        for text in filter(None, (config.text, config.source_text)):
            next(read_lines(user_path(text)), None)

    def rounds(self) -> Iterator[Round]:
        """Yield the figures of the run and of each round, as they are complete. Finished parts are not repeated."""
        if not self.corpus.exists():
            write_corpus(self.run, self.corpus, self.config.data)
        yield self.figures(0, self.run)
        model, reverse = self.run, None
        for number in range(1, self.config.rounds + 1):
            folder = self.folder / f"round{number}"
            forward_pairs = self.translate(model, f"forward{number}", self.config.source_text, self.src, self.tgt)
            reverse = self.reverse_model(number, folder, forward_pairs, reverse)
            back_pairs = self.translate(reverse, f"back{number}", self.config.text, self.tgt, self.src)
            names = [*back_pairs, *(forward_pairs if self.config.forward else [])]
            model = self.train_run(self.mixture(self.src, self.tgt, names), folder / "run")
            yield self.figures(number, model, reverse, names)

    def reverse_model(
        self, number: int, folder: Path, forward_pairs: Sequence[str], former: RunDirectory | None
    ) -> RunDirectory:
        """Return the reverse model of a round.

        It is trained on the real pairs and on real text of its target language with translations by the model. Without
        such text it is trained on its own translations of the round before.
        """
        if number == 1 and self.first_reverse is not None:
            return self.first_reverse
        names = list(forward_pairs) or ([] if former is None else [f"back{number - 1}"])
        return self.train_run(self.mixture(self.tgt, self.src, names), folder / "reverse")

    def open_reverse(self, path: str) -> RunDirectory:
        """Open a run and check that its direction is the reverse one."""
        reverse = RunDirectory.open(path)
        data = reverse.config().data
        if (data.src_lang, data.tgt_lang) != (self.tgt, self.src):
            raise UserError(
                f"reverse={reverse.path} translates {data.src_lang} to {data.tgt_lang}; give a run from {self.tgt} "
                f"to {self.src}, or leave it out to train one"
            )
        return reverse

    def mixture(self, src: str, tgt: str, names: Sequence[str]) -> Config:
        """Return the configuration of a training in the direction `src` to `tgt`, with some synthetic pairs.

        Raises:
            UserError: `training` has a wrong key or value.
        """
        copies = self.config.real_copies if names else 1
        files = TextFiles(
            src=[f"train.{src}"] * copies + [self.tagged(name, src) for name in names],
            tgt=[f"train.{tgt}"] * copies + [f"{name}.{tgt}" for name in names],
        )
        data = files_data(self.base.data, self.corpus, src, tgt, files)
        tokenizer = data.tokenizer
        symbols = list(dict.fromkeys([*tokenizer.user_symbols, self.config.tag]))
        cleaning = replace(data.cleaning, drop_duplicates=data.cleaning.drop_duplicates and copies == 1)
        train = replace(self.base.train, init_from=None, freeze=[], resume=None)
        if src != self.src:
            embeddings = train.pretrained_embeddings
            tokenizer = replace(tokenizer, src_file=tokenizer.tgt_file, tgt_file=tokenizer.src_file)
            train = replace(train, pretrained_embeddings=replace(embeddings, src=embeddings.tgt, tgt=embeddings.src))
        data = replace(data, tokenizer=replace(tokenizer, user_symbols=symbols), cleaning=cleaning)
        return with_values(replace(self.base, data=data, train=train), self.config.training)

    def tagged(self, name: str, language: str) -> str:
        """Write the side `language` of synthetic pairs with the tag before each line, and return the file's name."""
        path = self.corpus / f"{name}.tagged.{language}"
        if not path.exists():
            lines = read_lines(self.corpus / f"{name}.{language}")
            write_lines(path, (f"{self.config.tag} {line}" for line in lines))
        return path.name

    def translate(self, model: RunDirectory, name: str, text: str | None, src: str, tgt: str) -> list[str]:
        """Translate monolingual text and write the pairs that are kept to the corpus.

        Args:
            model: run that translates.
            name: name of the pairs; files are `NAME.LANGUAGE`.
            text: file of the monolingual text, or None.
            src: language of the text.
            tgt: language of the translations.

        Returns:
            The name, or nothing without a text.

        Raises:
            UserError: the text cannot be read, or too few translations are left.
        """
        if text is None:
            return []
        if (self.corpus / f"{name}.{src}").exists():
            return [name]
        lines = new_sentences(read_lines(user_path(text)), self.held_out(src))
        translator, _ = load_translator(model, self.config.checkpoint, self.search, self.runtime.device)
        self.runtime.prepare_search(translator)
        best = [candidates[0] for candidates in translate_with_bar(translator, lines, name)]
        kept = most_probable(best, self.config.keep)
        log.info("%s: %d sentences of %s, %d translations kept", name, len(lines), text, len(kept))
        if len(kept) < LEAST_PAIRS:
            raise UserError(f"{text}: {len(kept)} sentences are left of the translated text; at least {LEAST_PAIRS}")
        write_lines(self.corpus / f"{name}.{tgt}", (best[number].text for number in kept))
        write_lines(self.corpus / f"{name}.{src}", (lines[number] for number in kept))  # last: marks the pairs complete
        return [name]

    def held_out(self, language: str) -> set[str]:
        """Return the sentences of the validation and test sets in a language, in the form of `comparable`."""
        paths = [self.corpus / f"{split}.{language}" for split in ("valid", "test")]
        return {comparable(line) for path in paths if path.exists() for line in read_lines(path)}

    def figures(
        self, number: int, model: RunDirectory, reverse: RunDirectory | None = None, names: Sequence[str] = ()
    ) -> Round:
        """Return the figures of a round from the folder, or score its models and write the figures."""
        path = self.folder / f"round{number}.json"
        if path.exists():
            return Round(**read_json(path))
        pairs = sum(1 for name in names for _ in read_lines(self.corpus / f"{name}.{self.tgt}"))
        figures = Round(number, str(model.path), self.scores(model), pairs=pairs)
        if reverse is not None:
            figures = replace(figures, reverse=str(reverse.path), reverse_scores=self.scores(reverse))
        write_json(path, asdict(figures))
        return figures

    def scores(self, run: RunDirectory) -> dict[str, dict[str, Any]]:
        """Return scores of a run on its validation set with its own search."""
        config = run.config()
        translator, step = load_translator(run, self.config.checkpoint, config.search, self.runtime.device)
        self.runtime.prepare_search(translator)
        scores = score_translations(EvaluationSet.of_run(run, "valid"), translator, step, config).scores
        return {name: scores[name].record() for name in ("bleu", "chrf", "perplexity")}

    def begin(self) -> None:
        """Write the settings to the folder, or check that it was begun with the same ones.

        Raises:
            UserError: the folder holds other files, or rounds with other settings.
        """
        settings = {"run_identity": self.run.identity, "search": asdict(self.search)} | {
            key: value for key, value in asdict(self.config).items() if key not in ("machine", "data", "rounds")
        }
        path = self.folder / "settings.json"
        if not path.exists():
            if self.folder.exists() and any(file.name != ".lock" for file in self.folder.iterdir()):
                raise UserError(f"output={self.folder} holds other files; choose a new folder")
            write_json(path, settings)
        before = read_json(path)
        for key, value in settings.items():
            if before.get(key) != value:
                raise UserError(
                    f"output={self.folder} was begun with {key}={before.get(key)} (here {value}); give the same, or "
                    "choose a new folder"
                )


def files_data(data: DataConfig, folder: Path, src: str, tgt: str, train: TextFiles) -> DataConfig:
    """Return the configuration of a corpus in a folder, in one direction, with the settings of another corpus."""

    def held_out(split: str) -> TextFiles:
        exists = split == "valid" or (folder / f"{split}.{src}").exists()
        return TextFiles(src=[f"{split}.{src}"], tgt=[f"{split}.{tgt}"]) if exists else TextFiles()

    unspaced = tgt.split("-")[0].lower() in CHARACTER_LANGUAGES
    tokenize = data.bleu_tokenize if tgt == data.tgt_lang else "char" if unspaced else reverse_tokenizer(data)
    return replace(
        data,
        src_lang=src,
        tgt_lang=tgt,
        root=str(folder.absolute()),
        download=None,
        mirror=None,
        phrasebook=None,
        strings=None,
        train=train,
        valid=held_out("valid"),
        test=held_out("test"),
        tests={},
        most_pairs=None,
        bleu_tokenize=tokenize,
    )


def reverse_tokenizer(data: DataConfig) -> str:
    """Return the tokenizer of BLEU for translations into the source language, which has spaces between words."""
    return "13a" if data.bleu_tokenize in ("zh", "ja-mecab", "ko-mecab", "char") else data.bleu_tokenize


def comparable(line: str) -> str:
    """Return a line in the form in which held-out sentences are recognised: normalised, without regard to case."""
    return normalise(line).casefold()


def new_sentences(lines: Iterable[str], held_out: set[str]) -> list[str]:
    """Return normalised lines in their order, without empty ones, repetitions and held-out sentences."""
    lines = dict.fromkeys(normalise(line) for line in lines)
    return [line for line in lines if line and comparable(line) not in held_out]


def most_probable(candidates: Sequence[Candidate], share: float) -> list[int]:
    """Return the indices of the translations with the highest log-probability per piece, in their order.

    Pieces are counted with the end of the sentence. Empty translations are never returned.
    """

    def per_piece(index: int) -> float:
        candidate = candidates[index]
        return candidate.log_prob / sum(len(pieces) + 1 for pieces in candidate.pieces)

    written = [index for index, candidate in enumerate(candidates) if candidate.text.strip()]
    best = sorted(written, key=lambda index: -per_piece(index))[: round(share * len(candidates))]
    return sorted(best)
