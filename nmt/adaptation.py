"""Learning from corrections: fine-tune a copy of a run until its translations of the corrected sentences are right."""

import json
import logging
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from nmt.config import AdaptConfig, Config, OptimConfig, user_path, with_location
from nmt.data import (
    Correction,
    PairStore,
    latest,
    normalise,
    read_corrections,
    sha256_of,
    tag_of,
)
from nmt.decoding import Translator, encode_correction
from nmt.errors import UserError
from nmt.metrics import Score, bleu_score
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.run import Checkpoint, RunDirectory, provenance, save_checkpoint
from nmt.run.prepared_corpus import prepare_corpus
from nmt.training import build_optimizer
from nmt.training.adaptation import CorrectionBatches, Pair, learn_and_replay, take_careful_steps, with_decay_towards
from nmt.training.freezing import freeze

COPIED = ("config.yaml", "tokenizer", "data")
"""Files and folders of a run that its copy has, too."""
CORRECTIONS = "corrections.jsonl"
"""File of an adapted run with the corrections that it learned from."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lesson:
    """A correction in the form in which a model learns it."""

    line: str
    """Source sentence, with the tag of the target language if the run has tags."""
    wanted: str
    """Wanted translation, as the model's vocabulary writes it."""
    pair: Pair
    """Source and target ids."""
    correction: Correction


@dataclass(frozen=True)
class TrialTranslations:
    """Translations of a model: of the corrected sentences and of the validation sample."""

    corrected: list[str]
    sample: list[str]
    score: Score
    """BLEU of the sample."""


@dataclass(frozen=True)
class Adaptation:
    """Result of learning from corrections."""

    lessons: list[Lesson]
    sample: tuple[list[str], list[str]]
    """Source and reference lines of the validation sample."""
    before: TrialTranslations
    after: TrialTranslations
    steps: int
    """Number of steps that the kept weights are from; 0: the old weights."""
    steps_taken: int
    over_limit: int
    """Most corrections that came out with a BLEU below the limit; such weights are not kept."""

    @property
    def learned(self) -> list[bool]:
        """True for each correction that comes out."""
        return [text == lesson.wanted for text, lesson in zip(self.after.corrected, self.lessons, strict=True)]

    @property
    def changed(self) -> list[int]:
        """Indices of the sentences of the sample whose translation has changed."""
        pairs = zip(self.before.sample, self.after.sample, strict=True)
        return [number for number, (before, after) in enumerate(pairs) if before != after]


def lessons_of(path: Path, run: RunDirectory, translator: Translator) -> list[Lesson]:
    """Return the corrections of a file for the directions of a run, the last one of each sentence.

    Raises:
        UserError: the file cannot be read, has no correction for this run, or has one that the run cannot learn.
    """
    data = run.config().data
    own_codes = [(data.src_lang, data.tgt_lang), *((each.src_lang, each.tgt_lang) for each in data.directions)]
    directions = {(code(src), code(tgt)): (src, tgt) for src, tgt in own_codes}
    found = read_corrections(path)
    named: list[tuple[int, Correction]] = []
    for number, each in found:
        pair = directions.get((code(each.src_lang or data.src_lang), code(each.tgt_lang or data.tgt_lang)))
        if pair is not None:
            named.append((number, replace(each, src_lang=pair[0], tgt_lang=pair[1])))
    own = latest(named)
    if not own:
        known = ", ".join(f"{src} to {tgt}" for src, tgt in directions.values())
        raise UserError(f"{path} has no correction for {run.path}, which translates {known}; give another file or run")
    if len(own) < len(found):
        message = "%s: %d of %d corrections are of other directions, or were corrected again"
        log.info(message, path, len(found) - len(own), len(found))
    tagged = bool(data.directions)
    return [lesson_of(each, tagged, translator, f"{path}: line {number}") for number, each in own]


def lesson_of(correction: Correction, tagged: bool, translator: Translator, place: str) -> Lesson:
    """Return the form in which a translator's model learns a correction; `place` names it in errors.

    Raises:
        UserError: as `nmt.decoding.encode_correction`.
    """
    line = normalise(f"{tag_of(correction.tgt_lang)} {correction.source}" if tagged else correction.source)
    pair = encode_correction(translator, line, correction.correction, place, correction.src_lang)
    return Lesson(line, translator.text_of(pair[1]), pair, correction)


def code(language: str) -> str:
    """Return a language code as the server writes it."""
    return language.replace("_", "-")


class Learner:
    """Checks between the steps, and the weights to keep: those with most corrections within the limit of BLEU.

    The translations are those of the translator's own search. The sample is translated only if more corrections come
    out than with the weights kept so far.
    """

    def __init__(
        self,
        translator: Translator,
        lessons: list[Lesson],
        sample: tuple[list[str], list[str]],
        config: AdaptConfig,
        tokenize: str,
    ) -> None:
        """
        Args:
            translator: translator with the model in training.
            lessons: corrections to learn.
            sample: source and reference lines of the validation sample.
            config: limits.
            tokenize: tokenizer of sacrebleu.
        """
        self.translator = translator
        assert isinstance(translator.model, Seq2Seq)
        self.model = translator.model
        self.lessons = lessons
        self.sample = sample
        self.max_loss = config.max_loss
        self.tokenize = tokenize
        self.before = self.kept = self.measure(self.translate([lesson.line for lesson in lessons]))
        self.kept_step = 0
        self.weights: dict[str, Tensor] = {}
        """Kept weights; empty: the old ones."""
        self.over_limit = 0
        """Most corrections that came out with weights beyond the limit."""

    def translate(self, lines: Sequence[str]) -> list[str]:
        """Return the best translation of each line."""
        return [best.text for best, *_ in self.translator.translate(lines)]

    def measure(self, corrected: list[str]) -> TrialTranslations:
        """Translate and score the validation sample; `corrected` are the translations of the corrected sentences."""
        sources, references = self.sample
        sample = self.translate(sources)
        return TrialTranslations(corrected, sample, bleu_score(sample, references, self.tokenize))

    def count(self, corrected: Sequence[str]) -> int:
        """Return the number of corrections that come out."""
        return sum(text == lesson.wanted for text, lesson in zip(corrected, self.lessons, strict=True))

    def should_stop(self, step: int) -> bool:
        """Keep the weights if more corrections come out within the limit; return whether to stop."""
        corrected = self.translate([lesson.line for lesson in self.lessons])
        learned = self.count(corrected)
        log.info("step %d: %d of %d corrections come out", step, learned, len(self.lessons))
        if learned <= self.count(self.kept.corrected):
            return False
        after = self.measure(corrected)
        loss = self.before.score.score - after.score.score
        log.info("step %d: BLEU of the validation sample %.2f (%+.2f)", step, after.score.score, -loss)
        if loss > self.max_loss:  # often for a few steps only: replay recovers it
            self.over_limit = max(self.over_limit, learned)
            return False
        self.weights = {name: weight.detach().clone() for name, weight in self.model.named_parameters()}
        self.kept, self.kept_step = after, step
        return learned == len(self.lessons)


def adapt(run: RunDirectory, translator: Translator, config: AdaptConfig) -> tuple[Adaptation, dict[str, Tensor]]:
    """Fine-tune a translator's model on corrections; return the result and the kept weights.

    Args:
        run: the run that the model is from.
        translator: translator with a single model in float32; it gets the model in training in its place.
        config: corrections, limits and settings of the training.

    Raises:
        UserError: the corrections or the training corpus cannot be used, all corrections come out already, or none
            more comes out within the limits.
    """
    path, trained, old = user_path(config.corrections), run.config(), translator.model
    assert isinstance(old, Seq2Seq)
    lessons = lessons_of(path, run, translator)
    model = translator.model = copy_without_noise(old, translator, trained)
    learner = Learner(translator, lessons, validation_sample(run, config), config, trained.data.bleu_tokenize)
    if learner.count(learner.before.corrected) == len(lessons):
        raise UserError(f"{path}: all {len(lessons)} corrections come out of {run.path} already; nothing to learn")
    store = replay_store(trained, run, config)
    freeze(model, trained.train.freeze)
    old_weights = {name: weight.detach() for name, weight in old.named_parameters()}
    steps = take_careful_steps(
        model,
        with_decay_towards(learn_and_replay(old, config.replay_weight), old_weights, config.decay),
        build_optimizer(model, OptimConfig(config.optimizer, learning_rate=config.learning_rate)),
        CorrectionBatches([lesson.pair for lesson in lessons], store, config.batch_size, config.replay, config.seed),
        config.steps,
        config.clip_norm,
        config.check_every,
        learner.should_stop,
    )
    if not learner.kept_step:
        limit = f" while BLEU falls by at most max_loss={config.max_loss:g}" * (learner.over_limit > 0)
        raise UserError(
            f"no further correction comes out in {steps} steps{limit}, and nothing was written; raise steps or "
            f"{'max_loss' if limit else 'learning_rate'}"
        )
    result = Adaptation(
        lessons, learner.sample, learner.before, learner.kept, learner.kept_step, steps, learner.over_limit
    )
    return result, learner.weights


def copy_without_noise(model: Seq2Seq, translator: Translator, config: Config) -> Seq2Seq:
    """Return a copy of a translator's model without dropout and other noise in training."""
    src, tgt = translator.src, translator.tgt
    vocabulary = Vocabulary(src.size, tgt.size, src.factor_sizes)
    copy = build_model(config.model.without_noise(), vocabulary).to(translator.device)
    copy.load_weights({name: weight.detach() for name, weight in model.named_parameters()})
    return copy


def validation_sample(run: RunDirectory, config: AdaptConfig) -> tuple[list[str], list[str]]:
    """Return source and reference lines of a random sample of the validation set, in its order."""
    sources, references = run.text("valid")
    count = min(config.valid_sentences, len(sources))
    chosen = np.sort(np.random.default_rng(config.seed).choice(len(sources), count, replace=False)).tolist()
    return [sources[number] for number in chosen], [references[number] for number in chosen]


def replay_store(trained: Config, run: RunDirectory, config: AdaptConfig) -> PairStore | None:
    """Return the training set of a run for replay; None without replay.

    Raises:
        UserError: the corpus cannot be found or prepared.
    """
    if not config.replay:
        return None
    try:
        corpus = replace(trained, data=with_location(trained.data, config.data))
        return prepare_corpus(corpus, run).store("train")
    except UserError as error:
        raise UserError(f"replay needs the training corpus: {error}; or add replay=0 to learn without it") from None


def write_adapted_run(
    base: RunDirectory,
    step: int,
    result: Adaptation,
    weights: dict[str, Tensor],
    config: AdaptConfig,
    overrides: list[str],
) -> None:
    """Write the adapted run: a copy of the run's files, the new weights, and a record of what it was made from.

    Args:
        base: the run that was adapted; it is not changed.
        step: step of its checkpoint.
        result: corrections and measurements.
        weights: new weights.
        config: configuration of the command.
        overrides: overrides of the command line.

    Raises:
        UserError: the folder cannot be written.
    """
    folder = user_path(config.output)
    partial = RunDirectory(folder.with_name(f"{folder.name}.part"))  # renamed when it is complete
    shutil.rmtree(partial.path, ignore_errors=True)
    try:
        partial.path.mkdir(parents=True)
        for name in COPIED:
            copy = shutil.copytree if (base.path / name).is_dir() else shutil.copyfile
            copy(base.path / name, partial.path / name)
        learned = partial.path / CORRECTIONS
        texts = ({k: v for k, v in asdict(lesson.correction).items() if v} for lesson in result.lessons)
        learned.write_text("".join(json.dumps(text, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8")
        save_checkpoint(
            partial.checkpoints, Checkpoint(step + result.steps, weights, run=base.identity), ["best", "last"]
        )
        record = base.record()
        record["starts"] = [*record["starts"], provenance(overrides)]
        record["sha256"] = record["sha256"] | {CORRECTIONS: sha256_of(learned)}
        record["adapted"] = adaptation_record(base, step, result, config)
        partial.write_record(record | {"finished": True})
        partial.path.rename(folder)
    except OSError as error:
        raise UserError(f"output={config.output}: {error.strerror}; choose a folder with write access") from None
    finally:
        with suppress(OSError):
            shutil.rmtree(partial.path, ignore_errors=True)


def adaptation_record(base: RunDirectory, step: int, result: Adaptation, config: AdaptConfig) -> dict[str, object]:
    """Return the facts about an adaptation for `run.json`."""
    scores = {"before": result.before.score.score, "after": result.after.score.score}
    return {
        "run": str(base.path.absolute()),
        "step": step,
        "checkpoint": config.checkpoint,
        "corrections_file": str(user_path(config.corrections).absolute()),
        "corrections_sha256": sha256_of(user_path(config.corrections)),
        "corrections": len(result.lessons),
        "learned": sum(result.learned),
        "steps": result.steps,
        "valid_sentences": len(result.sample[0]),
        "bleu": scores | {"signature": result.after.score.signature},
        "settings": json.loads(json.dumps(asdict(config))),
    }
