"""Rounds of training and translation.

In back-translation (Sennrich et al. 2016) the target of a pair is real text and its source a translation; in forward
translation (Zhang and Zong 2016) the source is real. Each round translates with the models of the round before (Hoang
et al. 2018). The source of a synthetic pair begins with a tag (Caswell et al. 2019).
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nmt.back_translation.corpus import SyntheticCorpus, most_probable
from nmt.config import (
    COPY_UNKNOWN,
    BackTranslationConfig,
    Config,
    InitVocabulary,
    SearchConfig,
    user_path,
    with_location,
    with_values,
)
from nmt.data import read_json, read_lines, write_json
from nmt.decoding import Candidate, LineTranslator, load_translator
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet, score_translations, translate_with_bar
from nmt.metrics import check_tokenizer
from nmt.run import RunDirectory
from nmt.runtime import Runtime

TrainRun = Callable[[Config, Path], RunDirectory]
"""Function that trains a run in a folder, or continues it, and returns it when it is finished."""
BLOCK = 8192
"""Number of sentences that are translated between two writes; a stopped translation continues after the last one."""
REFUSED = (
    *(f"data.{key}" for key in ("root", "download", "mirror", "phrasebook", "strings", "train", "valid", "test")),
    *(f"data.{key}" for key in ("src_lang", "tgt_lang", "directions", "factors", "most_pairs", "cache")),
    *(f"train.{key}" for key in ("init", "resume", "freeze")),
)
"""Beginnings of the keys that `training` cannot change, because the command sets them."""

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
    """The same scores of the reverse model on its own validation set."""
    pairs: int = 0
    """Number of synthetic pairs in the training set of the model."""


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
            UserError: a run does not support back-translation, or `training` has a wrong key or value.
        """
        self.run, self.config, self.search, self.runtime, self.train_run = run, config, search, runtime, train_run
        check_run(run, "run")
        if search.n_best > 1:
            raise UserError(f"search.n_best={search.n_best}: each sentence has one translation; set search.n_best=1")
        if refused := [key for key in config.training if key.startswith(REFUSED)]:
            raise UserError(f"training has {refused[0]}, which the command sets; leave it out")
        self.base = with_values(without_base_run(run), config.training)
        check_tokenizer(self.base.data.bleu_tokenize)
        self.src, self.tgt = self.base.data.src_lang, self.base.data.tgt_lang
        self.first_reverse = None if config.reverse is None else self.open_reverse(config.reverse)
        self.folder = user_path(config.output)
        data = with_location(self.base.data, config.data)
        self.corpus = SyntheticCorpus(self.folder / "corpus", data, config.tag)

    def open_reverse(self, path: str) -> RunDirectory:
        """Open a run and check that its direction is the reverse one."""
        reverse = RunDirectory.open(path)
        check_run(reverse, "reverse")
        data = reverse.config().data
        check_tokenizer(data.bleu_tokenize)
        if (data.src_lang, data.tgt_lang) != (self.tgt, self.src):
            raise UserError(
                f"reverse={reverse.path} translates {data.src_lang} to {data.tgt_lang}; give a run from {self.tgt} "
                f"to {self.src}, or leave it out to train one"
            )
        return reverse

    def rounds(self) -> Iterator[Round]:
        """Yield the figures of the run and of each round, as they are complete. Finished parts are not repeated."""
        texts = [(self.tgt, self.config.text)]
        texts += [(self.src, self.config.source_text)] if self.config.source_text is not None else []
        self.corpus.begin(self.run, texts)
        yield self.figures(0, self.run)
        model, reverse = self.run, None
        for number in range(1, self.config.rounds + 1):
            folder = self.folder / f"round{number}"
            given = self.first_reverse if number == 1 else None
            needed = self.config.source_text is not None and (self.config.forward or given is None)
            forward = [self.translate(model, f"forward{number}", self.src)] if needed else []
            reverse = given or self.reverse_model(number, folder, forward, reverse)
            back = self.translate(reverse, f"back{number}", self.tgt)
            names = [back, *(forward if self.config.forward else [])]
            model = self.train_run(self.mixture(self.src, names), folder / "run")
            yield self.figures(number, model, reverse, names)

    def reverse_model(
        self, number: int, folder: Path, forward: Sequence[str], previous: RunDirectory | None
    ) -> RunDirectory:
        """Train the reverse model of a round.

        It is trained on the real pairs and on real text of its target language with translations by the model. Without
        such text it is trained on its own translations of the round before.
        """
        names = list(forward) or ([] if previous is None else [f"back{number - 1}"])
        return self.train_run(self.mixture(self.tgt, names), folder / "reverse")

    def mixture(self, src: str, names: Sequence[str]) -> Config:
        """Return the configuration of a training in the direction from `src`, with some synthetic pairs."""
        data = self.corpus.config(src, names, self.config.real_copies if names else 1)
        train, search = self.base.train, self.base.search
        if src != self.src:
            embeddings = train.pretrained_embeddings
            train = replace(train, pretrained_embeddings=replace(embeddings, src=embeddings.tgt, tgt=embeddings.src))
            search = without_dictionary(search)
        return with_values(replace(self.base, data=data, train=train, search=search), {})  # this checks all values

    def translate(self, model: RunDirectory, name: str, src: str) -> str:
        """Translate the monolingual text in `src`, keep the most probable translations, and return the pairs' name."""
        if self.corpus.has_pairs(name):
            return name
        lines = self.corpus.text(src)
        search = self.search if src == self.src else without_dictionary(self.search)
        translator, _ = load_translator(model, self.config.checkpoint, search, self.runtime.device)
        self.runtime.prepare_search(translator)
        partial = self.corpus.folder / f"{name}.part.tsv"
        scores, texts = translate_blocks(translator, lines, partial)
        kept = most_probable(scores, self.config.keep)
        pairs = ((lines[at], texts[at]) if src == self.src else (texts[at], lines[at]) for at in kept)
        self.corpus.write_pairs(name, pairs, self.base.data.cleaning)
        partial.unlink()
        return name

    def figures(
        self, number: int, model: RunDirectory, reverse: RunDirectory | None = None, names: Sequence[str] = ()
    ) -> Round:
        """Return the figures of a round from the folder, or score its models and write the figures."""
        path = self.folder / f"round{number}.json"
        if path.exists():
            return Round(**read_json(path))
        pairs = sum(1 for name in names for _ in read_lines(self.corpus.folder / f"{name}.{self.tgt}"))
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
        excluded = ("machine", "data", "rounds", "search", "text", "source_text")
        settings = {key: value for key, value in asdict(self.config).items() if key not in excluded}
        settings |= {f"search.{key}": value for key, value in asdict(self.search).items()}
        base = json.dumps(asdict(self.base), sort_keys=True).encode()
        settings |= {"source_text": self.config.source_text is not None, "run.config": hashlib.sha256(base).hexdigest()}
        path = self.folder / "settings.json"
        if not path.exists():
            ours = (".lock", "settings.tmp")
            if self.folder.exists() and any(file.name not in ours for file in self.folder.iterdir()):
                raise UserError(f"output={self.folder} holds other files; choose a new folder")
            write_json(path, settings)
        before = read_json(path)
        for key, value in settings.items():
            if before.get(key) != value:
                raise UserError(
                    f"output={self.folder} was begun with {key}={before.get(key)} (here {value}); give the same, or "
                    "choose a new folder"
                )


def check_run(run: RunDirectory, key: str) -> None:
    """Check that a run is finished and has one direction and no source factors; `key` names it in the error."""
    data = run.config().data
    for name in ("directions", "factors"):
        if getattr(data, name):
            raise UserError(
                f"{key}={run.path} has data.{name}, which back_translate does not support; train without it"
            )
    if data.src_lang == data.tgt_lang:
        raise UserError(
            f"{key}={run.path} has the language {data.src_lang} on both sides; train with two language codes"
        )
    if not run.finished:
        raise UserError(f"{key}={run.path} is not finished; train.resume={run.path} continues its training")


def without_base_run(run: RunDirectory) -> Config:
    """Return the configuration of a run for trainings that begin with random weights; warn if the run did not."""
    config = run.config()
    train = config.train
    if train.init_from is not None or run.adapted:
        log.warning("%s continued the weights of another run; the rounds begin with random weights", run.path)
    train = replace(train, init_from=None, init_vocabulary=InitVocabulary.base, init_partial=False, freeze=[])
    return replace(config, train=replace(train, resume=None, resume_step=None))


def without_dictionary(search: SearchConfig) -> SearchConfig:
    """Return search settings for the other direction, in which a file of translations of words does not apply."""
    return search if search.replace_unknown == COPY_UNKNOWN else replace(search, replace_unknown=None)


def translate_blocks(translator: LineTranslator, lines: Sequence[str], path: Path) -> tuple[list[float], list[str]]:
    """Translate lines in blocks, and continue after the last block in a file of an earlier start.

    Args:
        translator: model and search.
        lines: normalised sentences.
        path: file of log-probability per piece and translation, separated by a tab; it is extended.

    Returns:
        Log-probability per piece, end of the sentence included, and translation of each line.
    """
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    done = text.split("\n")[:-1]
    del done[len(done) // BLOCK * BLOCK :]  # a block that was not written to its end
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{row}\n" for row in done)
        for start in range(len(done), len(lines), BLOCK):
            name = f"sentences {start + 1} to {min(start + BLOCK, len(lines))} of {len(lines)}"
            candidates = translate_with_bar(translator, lines[start : start + BLOCK], name)
            block = [f"{per_piece(best):.6f}\t{best.text}" for best, *_ in candidates]
            file.writelines(f"{row}\n" for row in block)
            file.flush()
            done += block
    rows = [row.split("\t", 1) for row in done]
    return [float(score) for score, _ in rows], [text for _, text in rows]


def per_piece(candidate: Candidate) -> float:
    """Return the log-probability of a translation per piece; each part of a line has an end that counts as a piece."""
    return candidate.log_prob / sum(len(pieces) + 1 for pieces in candidate.pieces)
