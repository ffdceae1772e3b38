"""Facts of a run, collected once for the report page and the model card.

Something that a run lacks is not an error. It becomes a sentence in `missing`, with the command that produces it.
"""

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nmt.config import Config, TokenizerConfig, TokenizerType, corpus_description, flatten
from nmt.data import read_json
from nmt.decoding import Translator, load_translator
from nmt.errors import UserError
from nmt.evaluation.sets import EvaluationSet
from nmt.evaluation.table import title_of
from nmt.lab.comparison.compare import Comparison
from nmt.lab.comparison.statistics import Breakdown
from nmt.lab.comparison.systems import ScoredRun, System, format_setting, training_cost
from nmt.lab.report.recorded import NOT_RECORDED, EvaluationRecord, Fact
from nmt.lab.report.sentences import (
    MistakeCount,
    ScoredSentence,
    ShownSentence,
    choose_sentences,
    count_mistakes,
    score_sentences,
    show_sentences,
)
from nmt.run import RunDirectory

BUCKETS = 4
Choice = Callable[[Sequence[ScoredSentence]], list[tuple[str, ScoredSentence]]]


@dataclass(frozen=True)
class RecordedStart:
    """One start of a training: its command and its environment."""

    command: str
    facts: list[Fact]


@dataclass
class RunFacts:
    """Facts of one run."""

    name: str
    path: str
    pair: str
    split: str
    config: Config
    pieces: str
    """Number of pieces of the vocabulary, or of both if they differ."""
    differences: list[tuple[str, str, str]]
    """Key, value and default of each setting that differs from its default."""
    config_text: str
    corpus: list[Fact] = field(default_factory=list)
    dropped: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Reason and example (line, src, tgt) of dropped pairs."""
    terms: str | None = None
    metrics: list[dict[str, float]] = field(default_factory=list)
    """Lines of metrics.jsonl."""
    progress: list[Fact] = field(default_factory=list)
    scores: list[EvaluationRecord] = field(default_factory=list)
    breakdowns: list[Breakdown] = field(default_factory=list)
    breakdown_metric: str = ""
    examples: list[ShownSentence] = field(default_factory=list)
    mistakes: list[MistakeCount] = field(default_factory=list)
    judged: int = 0
    """Number of sentences in which mistakes were counted."""
    cost: list[Fact] = field(default_factory=list)
    starts: list[RecordedStart] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def kind_of_pieces(self) -> str:
        """Way in which text is divided into pieces."""
        return kind_of_pieces(self.config.data.tokenizer)


def collect_facts(
    run: RunDirectory, split: str, device: torch.device, examples: int = 2, at_random: int = 4, seed: int = 1
) -> RunFacts:
    """Collect the facts of a run.

    The sentences of `split` are checked for mistakes. Of the best, the median and the worst, `examples` each are shown,
    and `at_random` others, drawn with `seed`. Attention is computed on `device`.
    """
    config, record = run.config(), run.record()
    facts = RunFacts(
        name=run.path.resolve().name,
        path=str(run.path),
        pair=f"{config.data.src_lang} → {config.data.tgt_lang}",
        split=split,
        config=config,
        pieces=" and ".join(map(str, dict.fromkeys(tokenizer.size for tokenizer in run.tokenizers().values()))),
        differences=list(differences(config)),
        config_text=run.config_path.read_text(encoding="utf-8"),
        terms=terms(config),
        starts=[start_of(start) for start in record["starts"]],
    )
    if not run.finished:
        facts.missing.append(f"The training is not finished; continue it with: nmt-train train.resume={quoted(run)}")
    add_corpus(facts, run)
    add_progress(facts, run)
    for path in sorted(run.path.glob("scores/*.json")):
        add_record(facts, run, path)
    translator = None
    try:
        scored = ScoredRun.open(run, split)
        choice = partial(choose_sentences, number=examples, at_random=at_random, seed=seed)
        translator = add_sentences(facts, scored, device, choice)
    except UserError as error:
        facts.missing.append(str(error))
    parameters = sum(weight.numel() for weight in translator.model.parameters()) if translator else None
    add_cost(facts, run, parameters)
    return facts


def kind_of_pieces(tokenizer: TokenizerConfig) -> str:
    """Return how text is divided into pieces."""
    if tokenizer.files:
        return "ready tokenizer"
    if tokenizer.type in (TokenizerType.unigram, TokenizerType.bpe):
        return f"SentencePiece, {tokenizer.type}"
    return "words" if tokenizer.type == TokenizerType.word else "characters"


def quoted(run: RunDirectory) -> str:
    return shlex.quote(str(run.path))


def evaluate_command(run: RunDirectory, split: str) -> str:
    return f"nmt-evaluate run={quoted(run)} split={split}"


def differences(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield key, value and default of the settings that differ from their defaults, without checksums and test sets."""
    defaults = flatten(asdict(Config()))
    for key, value in flatten(asdict(config)).items():
        if (key not in defaults or value != defaults[key]) and not key.startswith(
            ("data.download.sha256", "data.tests")
        ):
            yield key, format_setting(value), format_setting(defaults[key]) if key in defaults else "–"


def terms(config: Config) -> str | None:
    """Return the description and the terms of the corpus; None if they are not known."""
    return corpus_description("phrasebook" if config.data.phrasebook is not None else config.data.name)


def start_of(start: dict[str, Any]) -> RecordedStart:
    """Return one entry of `starts` in run.json as text."""
    program, *arguments = [str(word) for word in start.get("command") or ["nmt-train"]]
    words = ["python", f"scripts/{program}"] if program.endswith(".py") else [program]
    libraries = start.get("libraries") or {}
    versions = [f"{name} {version}" for name, version in libraries.items() if version]
    facts = {
        "time": start.get("time"),
        "commit": start.get("commit"),
        "version": f"nmt {start.get('nmt', '?')}, Python {start.get('python', '?')}, {', '.join(versions)}",
        "machine": f"{start.get('processor') or 'processor unknown'}, {start.get('cores', '?')} cores, "
        f"{start.get('threads', '?')} threads, {start.get('platform', '')}",
    }
    return RecordedStart(
        shlex.join([*words, *arguments]), [(name, str(fact or NOT_RECORDED)) for name, fact in facts.items()]
    )


def add_corpus(facts: RunFacts, run: RunDirectory) -> None:
    """Add the facts of data/report.json, which preparation wrote."""
    try:
        report = read_json(run.path / "data" / "report.json")
        pairs = [("pairs read", report["read"]), ("pairs kept", report["kept"])]
        pairs += [(f"dropped: {reason}", count) for reason, count in report["dropped"].items() if count]
        pairs += [("dropped: too many pieces", report["over_max_pieces"])] if report["over_max_pieces"] else []
        pairs += [("changed by normalisation", report["altered"])]
        pairs += [(f"{split} set, pairs", count) for split, count in report["held_out"].items()]
        means = [
            (f"mean {unit} per sentence", "{src:.1f} source, {tgt:.1f} target".format(**report[f"mean_{unit}"]))
            for unit in ("words", "characters")
        ]
        corpus = [*((name, f"{count:,}") for name, count in pairs), *means]
        dropped = [
            (reason, {key: example[key] for key in ("line", "src", "tgt")})
            for reason, examples in report["examples"].items()
            for example in examples
        ]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        facts.missing.append("data/report.json, because the run was started by an older version; train it again.")
        return
    facts.corpus = corpus
    facts.dropped = dropped


def add_progress(facts: RunFacts, run: RunDirectory) -> None:
    """Add the facts of metrics.jsonl."""
    facts.metrics = run.metrics()
    if not facts.metrics:
        facts.missing.append(f"metrics.jsonl has no line; write it with: nmt-train train.resume={quoted(run)}")
        return
    facts.progress = [("steps", f"{max(line['step'] for line in facts.metrics):,} of {facts.config.train.max_steps:,}")]
    if epochs := [line["train/epoch"] for line in facts.metrics if "train/epoch" in line]:
        facts.progress.append(("passes over the data", f"{epochs[-1]:g} complete"))
    best_of = (("valid/bleu", "validation BLEU", max), ("valid/perplexity", "validation perplexity", min))
    for key, label, best in best_of:
        if lines := [line for line in facts.metrics if key in line]:
            line = best(lines, key=lambda line: line[key])
            facts.progress.append((f"best {label}", f"{line[key]:.2f} at step {line['step']:,}"))


def add_record(facts: RunFacts, run: RunDirectory, path: Path) -> None:
    """Add one file of scores."""
    command = evaluate_command(run, path.stem) if run.has_split(path.stem) else "the nmt-evaluate command that wrote it"
    record = EvaluationRecord.read(path)
    if record is None:
        facts.missing.append(f"scores/{path.name} is damaged; write it again with: {command}")
        return
    facts.scores.append(record)
    if any(not score.interval for score in record.scores):
        facts.missing.append(
            f"Intervals in scores/{path.name}, which an older version wrote; write it again with: {command}"
        )


def add_sentences(facts: RunFacts, scored: ScoredRun, device: torch.device, choice: Choice) -> Translator | None:
    """Add shown sentences, mistakes and breakdowns. Return the model that translated, or None if it cannot be loaded.

    Raises:
        UserError: the number of translations is not the number of sentences.
    """
    run, split = scored.run, facts.split
    src, references = run.text(split)
    if len(scored.hypotheses) != len(src):
        raise UserError(
            f"scores/{split}.hyp has {len(scored.hypotheses)} lines for {len(src)} sentences; write it again with: "
            f"{evaluate_command(run, split)}"
        )
    translator = None
    try:
        checkpoint = scored.settings["checkpoint"]
        translator, step = load_translator(run, checkpoint, facts.config.search, device)
        if step != scored.step:
            facts.missing.append(
                f"The translations are of step {scored.step}, but the checkpoint {checkpoint} is now of step {step}; "
                f"translate again with: {evaluate_command(run, split)}"
            )
    except UserError as error:
        facts.missing.append(str(error))
    sentences = score_sentences(src, scored.hypotheses, references)
    facts.examples = show_sentences(choice(sentences), translator)
    facts.mistakes, facts.judged = count_mistakes(sentences, translator), len(sentences)
    if not any(mistake.kind.by_attention for mistake in facts.mistakes):
        facts.missing.append(
            "Over- and under-translation, which need attention weights; the model is missing or has no attention."
        )
    if any(record.name == split for record in facts.scores):  # a damaged record is in `missing`
        add_breakdowns(facts, scored)
    return translator


def add_breakdowns(facts: RunFacts, scored: ScoredRun) -> None:
    """Add BLEU, or the first score if there is no BLEU, by length and by frequency."""
    metric = "bleu" if "bleu" in scored.scores else next(iter(scored.scores))
    alone = replace(scored, scores={metric: scored.scores[metric]})
    try:
        breakdowns = Comparison([System([alone])], EvaluationSet.of_run(scored.run, facts.split)).breakdowns(BUCKETS)
    except UserError as error:
        facts.missing.append(str(error))
        return
    facts.breakdown_metric = title_of(metric, alone.scores[metric]["signature"])
    facts.breakdowns = [breakdown for breakdown in breakdowns if not breakdown.missing]
    for why in dict.fromkeys(breakdown.missing for breakdown in breakdowns if breakdown.missing):
        facts.missing.append(f"{facts.breakdown_metric} by frequency: {why}")


def add_cost(facts: RunFacts, run: RunDirectory, parameters: int | None) -> None:
    """Add the cost of training."""
    cost = training_cost(run)
    if parameters is not None:
        cost.setdefault("parameters", parameters)
    scales = {
        "parameters": ("parameters", 1e6, "{:.2f} M"),
        "seconds": ("training time, validation included", 60, "{:.1f} min"),
        "cpu_seconds": ("processor time of training", 60, "{:.1f} core min"),
        "tokens_per_second": ("training speed in target tokens, median", 1, "{:,.0f} tokens/s"),
        "peak_memory_bytes": ("peak memory of training", 2**30, "{:.2f} GiB"),
    }
    for key, (label, unit, text) in scales.items():
        facts.cost.append((label, text.format(cost[key] / unit) if key in cost else NOT_RECORDED))
    if unknown := [label for key, (label, *_) in scales.items() if key not in cost]:
        facts.missing.append(f"Costs: {', '.join(unknown)}; nmt-train of this version records them during training.")
