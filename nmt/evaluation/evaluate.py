"""Evaluation of a run, with a record of everything needed to repeat it."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from nmt.config import Config
from nmt.console import progress_bar
from nmt.data import tokenizer_advice
from nmt.decoding import Candidate, LineTranslator, Translator
from nmt.decoding.shortlist_files import coverage_of_texts
from nmt.evaluation.perplexity import perplexities
from nmt.evaluation.sets import EvaluationSet
from nmt.metrics import RESAMPLES, SEED, Comet, Score, all_scores
from nmt.run import RunDirectory

SCORE_AGAIN = (
    "score these translations with scripts/score.py bleu_tokenize={better}, or train with data.bleu_tokenize={better}"
)

log = logging.getLogger(__name__)


def translate_with_bar(translator: LineTranslator, lines: Sequence[str], name: str = "") -> list[list[Candidate]]:
    """Return the n best translations of each line, with a progress bar on standard error if that is a terminal.

    `name` is the name of the text in warnings.
    """
    places = [f"{name}{', ' * bool(name)}line {number}" for number in range(1, len(lines) + 1)]
    with progress_bar() as bar:
        task = bar.add_task("translating", total=len(lines))
        return translator.translate(lines, lambda done: bar.advance(task, done), places=places)


def evaluate_split(
    run: RunDirectory, translator: Translator, split: str, step: int, config: Config
) -> dict[str, Score]:
    """Score a held-out split, and write RUN/scores/SPLIT.json and SPLIT.hyp."""
    scored = score_translations(EvaluationSet.of_run(run, split), translator, step, config)
    scored.keep(run.folder("scores") / split)
    return scored.scores


@dataclass(frozen=True)
class ScoredTranslations:
    """Scores of translations with the record to write."""

    scores: dict[str, Score]
    hypotheses: list[str]
    record: dict[str, object]

    def keep(self, stem: Path) -> None:
        """Write STEM.json and STEM.hyp. A process killed in between leaves the old files, or no record."""
        path, temporary = Path(f"{stem}.json"), Path(f"{stem}.tmp")
        temporary.write_text(json.dumps(self.record, indent=1), encoding="utf-8")
        path.unlink(missing_ok=True)
        Path(f"{stem}.hyp").write_text("".join(line + "\n" for line in self.hypotheses), encoding="utf-8")
        temporary.replace(path)


def score_translations(
    test: EvaluationSet,
    translator: Translator,
    step: int,
    config: Config,
    chosen: Mapping[str, object] | None = None,
    comet: Comet | None = None,
) -> ScoredTranslations:
    """Translate and score a test set.

    `step` and `chosen`, the further settings of the command, are for the record.

    Raises:
        UserError: the sides have different lengths.
    """
    test.check()
    if advice := tokenizer_advice(test.references[0], config.data.bleu_tokenize, SCORE_AGAIN):
        log.warning(advice)
    started = time.perf_counter()
    hypotheses = [best.text for best, *_ in translate_with_bar(translator, test.src, test.name)]
    seconds = time.perf_counter() - started
    reference, *others = test.references
    scores = all_scores(hypotheses, reference, config.data.bleu_tokenize, others, test.labels)
    model_scores, unknown = perplexities(translator, test.src, reference, test.labels, config.data.bleu_tokenize)
    if unknown:
        log.warning(
            "%s: %d pieces of the references are not in the vocabulary of the run, so perplexity is too low; the "
            "other scores use the references as written",
            test.name,
            unknown,
        )
    scores |= model_scores
    if comet is not None:
        plain = replace(test, src=[translator.src.plain(line) for line in test.src])
        scores["comet"] = comet_score(comet, plain, hypotheses)
    record: dict[str, object] = {name: score.record() for name, score in scores.items()}
    record["made_by"] = {
        "checkpoint_step": step,
        "seed": config.seed,
        "search": asdict(translator.config),
        "precision": str(translator.model.precision),
        "sentences": len(test.src),
        "test_set": test.identity(),
        "unknown_reference_pieces": unknown,
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED},
        "seconds": seconds,
        "sentences_per_second": len(test.src) / seconds,
        **shortlist_coverage(translator, test),
        **(chosen or {}),
    }
    return ScoredTranslations(scores, hypotheses, record)


def shortlist_coverage(translator: Translator, test: EvaluationSet) -> dict[str, object]:
    """Return for the record, and log, how much of the first reference the shortlists cover; nothing without them."""
    shortlist, size = translator.shortlist, translator.config.shortlist
    if shortlist is None or size is None:
        return {}
    covered = coverage_of_texts(shortlist, translator.src, translator.tgt, (test.src, test.references[0]), size)
    log.info("%s: search.shortlist=%d covers %s", test.name, size, covered)
    return {"shortlist_coverage": asdict(covered)}


def comet_score(comet: Comet, test: EvaluationSet, hypotheses: Sequence[str]) -> Score:
    """Score translations with COMET, which takes one reference per sentence; warn if the set has several."""
    if len(test.references) > 1:
        log.warning("COMET takes one reference per sentence: it uses the first of %d", len(test.references))
    return comet(test.src, hypotheses, test.references[0], test.labels)
