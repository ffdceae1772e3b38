"""All that is known of a run, gathered once: what the page and the model card both tell.

What a run does not have is a sentence in `missing`, with the command that makes it, and no error.
"""

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from nmt.config import Config, corpus_note
from nmt.data import read_json
from nmt.decoding import Translator, load_translator
from nmt.errors import UserError
from nmt.evaluation.table import title_of
from nmt.lab.comparison.compare import Breakdown, Comparison
from nmt.lab.comparison.systems import ScoredRun, System, TestSet, flat, measured, shown
from nmt.lab.report.recorded import NOT_RECORDED, Fact, Record
from nmt.lab.report.sentences import Example, Mistakes, Sentence, choose, judge, sentences_of, show
from nmt.run import RunDirectory

BUCKETS = 4
Choice = Callable[[Sequence[Sentence]], list[tuple[str, Sentence]]]


@dataclass(frozen=True)
class Start:
    """Of a training: what repeats it."""

    command: str
    facts: list[Fact]


@dataclass
class Facts:
    """A run."""

    name: str
    path: str
    pair: str
    split: str
    config: Config
    differences: list[tuple[str, str, str]]
    """Key, value and default."""
    config_text: str
    corpus: list[Fact] = field(default_factory=list)
    dropped: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Reason and example (line, src, tgt)."""
    terms: str | None = None
    metrics: list[dict[str, float]] = field(default_factory=list)
    """The lines of metrics.jsonl."""
    progress: list[Fact] = field(default_factory=list)
    scores: list[Record] = field(default_factory=list)
    breakdowns: list[Breakdown] = field(default_factory=list)
    breakdown_metric: str = ""
    examples: list[Example] = field(default_factory=list)
    mistakes: list[Mistakes] = field(default_factory=list)
    judged: int = 0
    """Sentences."""
    cost: list[Fact] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def facts_of(
    run: RunDirectory, split: str, device: torch.device, examples: int = 2, at_random: int = 4, seed: int = 1
) -> Facts:
    """Gathers all of it.

    Args:
        run: the run.
        split: whose sentences are shown and judged.
        device: where the model reads them.
        examples: how many of the best, of the median and of the worst sentences are shown.
        at_random: how many others.
        seed: of the draw.
    """
    config, record = run.config(), run.record()
    facts = Facts(
        name=run.path.resolve().name,
        path=str(run.path),
        pair=f"{config.data.src_lang} → {config.data.tgt_lang}",
        split=split,
        config=config,
        differences=list(differences(config)),
        config_text=run.config_path.read_text(encoding="utf-8"),
        terms=terms(config),
        starts=[start_of(start) for start in record["starts"]],
    )
    if not run.finished:
        facts.missing.append(f"The training has not ended; it goes on by: nmt-train train.resume={quoted(run)}")
    add_corpus(facts, run)
    add_progress(facts, run)
    for path in sorted(run.path.glob("scores/*.json")):
        add_record(facts, run, path)
    translator = None
    try:
        scored = ScoredRun.open(run, split)
        translator = add_sentences(facts, scored, device, lambda found: choose(found, examples, at_random, seed))
    except UserError as error:
        facts.missing.append(str(error))
    parameters = sum(weight.numel() for weight in translator.model.parameters()) if translator else None
    add_cost(facts, run, parameters)
    return facts


def quoted(run: RunDirectory) -> str:
    return shlex.quote(str(run.path))


def evaluate_command(run: RunDirectory, split: str) -> str:
    return f"nmt-evaluate run={quoted(run)} split={split}"


def differences(config: Config) -> Iterator[tuple[str, str, str]]:
    """What is set otherwise than the dataclasses of nmt/config say; digests of files stand in the whole."""
    defaults = flat(asdict(Config()))
    for key, value in flat(asdict(config)).items():
        if (key not in defaults or value != defaults[key]) and not key.startswith("data.download.sha256"):
            yield key, shown(value), shown(defaults[key]) if key in defaults else "–"


def terms(config: Config) -> str | None:
    """What is known of the corpus."""
    return corpus_note("phrasebook" if config.data.phrasebook is not None else config.data.name)


def start_of(start: dict[str, Any]) -> Start:
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
    return Start(shlex.join([*words, *arguments]), [(name, str(fact or NOT_RECORDED)) for name, fact in facts.items()])


def add_corpus(facts: Facts, run: RunDirectory) -> None:
    """From data/report.json, which preparation wrote."""
    try:
        report = read_json(run.path / "data" / "report.json")
        pairs = [("pairs read", report["read"]), ("pairs kept", report["kept"])]
        pairs += [(f"dropped: {reason}", count) for reason, count in report["dropped"].items() if count]
        pairs += [("dropped: too many pieces", report["over_max_pieces"])] if report["over_max_pieces"] else []
        pairs += [("altered by normalising", report["altered"])]
        pairs += [(f"{split} set, pairs", count) for split, count in report["held_out"].items()]
        means = [
            (f"mean {unit} a sentence", "{src:.1f} source, {tgt:.1f} target".format(**report[f"mean_{unit}"]))
            for unit in ("words", "characters")
        ]
        corpus = [*((name, f"{count:,}") for name, count in pairs), *means]
        dropped = [
            (reason, {key: example[key] for key in ("line", "src", "tgt")})
            for reason, found in report["examples"].items()
            for example in found
        ]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        facts.missing.append(
            "data/report.json, which a training writes when it begins: this run is of an older version."
        )
        return
    facts.corpus = corpus
    facts.dropped = dropped


def add_progress(facts: Facts, run: RunDirectory) -> None:
    """Of its metrics."""
    facts.metrics = run.metrics()
    if not facts.metrics:
        facts.missing.append(f"metrics.jsonl has no line; it is made by: nmt-train train.resume={quoted(run)}")
        return
    facts.progress = [("steps", f"{max(line['step'] for line in facts.metrics):,} of {facts.config.train.max_steps:,}")]
    if epochs := [line["train/epoch"] for line in facts.metrics if "train/epoch" in line]:
        facts.progress.append(("passes over the data", f"{epochs[-1]:g} complete"))
    wanted = (("valid/bleu", "validation BLEU", max), ("valid/perplexity", "validation perplexity", min))
    for key, label, best in wanted:
        if lines := [numbers for numbers in facts.metrics if key in numbers]:
            found = best(lines, key=lambda numbers: numbers[key])
            facts.progress.append((f"best {label}", f"{found[key]:.2f} at step {found['step']:,}"))


def add_record(facts: Facts, run: RunDirectory, path: Path) -> None:
    """One file of scores."""
    command = evaluate_command(run, path.stem) if run.has_split(path.stem) else "the nmt-evaluate that made it"
    found = Record.read(path)
    if found is None:
        facts.missing.append(f"scores/{path.name} is damaged; it is made anew by: {command}")
        return
    facts.scores.append(found)
    if any(not score.interval for score in found.scores):
        facts.missing.append(f"Intervals of scores/{path.name}, of an older version; they are made by: {command}")


def add_sentences(facts: Facts, scored: ScoredRun, device: torch.device, choice: Choice) -> Translator | None:
    """The translations one by one. Returns the model that made them, if it is there.

    Raises:
        UserError: there are not as many translations as sentences.
    """
    run, split = scored.run, facts.split
    src, references = run.text(split)
    if len(scored.hypotheses) != len(src):
        raise UserError(
            f"scores/{split}.hyp has {len(scored.hypotheses)} lines for {len(src)} sentences; it is made anew by: "
            f"{evaluate_command(run, split)}"
        )
    translator = None
    try:
        checkpoint = scored.settings["checkpoint"]
        translator, step = load_translator(run, checkpoint, facts.config.search, device)
        if step != scored.step:
            facts.missing.append(
                f"The translations are of step {scored.step}, and the checkpoint {checkpoint} is of step {step} now; "
                f"they are made anew by: {evaluate_command(run, split)}"
            )
    except UserError as error:
        facts.missing.append(str(error))
    sentences = sentences_of(src, scored.hypotheses, references)
    facts.examples = show(choice(sentences), translator)
    facts.mistakes, facts.judged = judge(sentences, translator), len(sentences)
    if not any(mistake.kind.by_attention for mistake in facts.mistakes):
        facts.missing.append("Over- and under-translation: they are told by attention, and there is none to be had.")
    if any(record.name == split for record in facts.scores):  # else it is damaged, and said to be
        add_breakdowns(facts, scored, TestSet(split, src, references))
    return translator


def add_breakdowns(facts: Facts, scored: ScoredRun, test: TestSet) -> None:
    """The first score by length and by frequency, as `compare` finds them."""
    metric = "bleu" if "bleu" in scored.scores else next(iter(scored.scores))
    alone = replace(scored, scores={metric: scored.scores[metric]})
    try:
        found = Comparison([System([alone])], test).breakdowns(BUCKETS)
    except UserError as error:
        facts.missing.append(str(error))
        return
    facts.breakdown_metric = title_of(metric, alone.scores[metric]["signature"])
    facts.breakdowns = [each for each in found if not each.missing]
    for why in dict.fromkeys(each.missing for each in found if each.missing):
        facts.missing.append(f"{facts.breakdown_metric} by frequency: {why}")


def add_cost(facts: Facts, run: RunDirectory, parameters: int | None) -> None:
    """Of the training."""
    found = measured(run)
    if parameters is not None:
        found.setdefault("parameters", parameters)
    scales = {
        "parameters": ("parameters", 1e6, "{:.2f} M"),
        "seconds": ("training, validation included", 60, "{:.1f} min"),
        "tokens_per_second": ("target tokens in training, median", 1, "{:,.0f} tokens/s"),
        "peak_memory_bytes": ("peak memory of training", 2**30, "{:.2f} GiB"),
    }
    for key, (label, unit, text) in scales.items():
        facts.cost.append((label, text.format(found[key] / unit) if key in found else NOT_RECORDED))
    if unknown := [label for key, (label, *_) in scales.items() if key not in found]:
        facts.missing.append(f"Costs: {', '.join(unknown)}; nmt-train of this version records them as it trains.")
