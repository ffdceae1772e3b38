"""Systems of a comparison: scored runs, grouped if they differ only in their seed."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean, median
from typing import Any, TypeVar

from nmt.config import (
    SPLITS,
    Config,
    CorpusLocation,
    DataConfig,
    flatten,
    user_path,
    with_described_tests,
    with_location,
)
from nmt.data import is_regular, read_all, read_json
from nmt.errors import UserError
from nmt.evaluation.sets import EvaluationSet, scores_name, sha256_of_lines
from nmt.run import CORPUS_PLACES, CORPUS_PREPARATION, RunDirectory, corpus_settings, is_number

log = logging.getLogger(__name__)

T = TypeVar("T")

CORPUS_KEYS = tuple(f"data.{key}" for key in (*CORPUS_PLACES, *CORPUS_PREPARATION))
IGNORED_KEYS = (
    "seed",
    "tracking.",
    "train.resume",
    "train.log_every",
    "machine.device",
    "machine.threads",
    *CORPUS_KEYS,
)
"""Prefixes of the configuration keys in which the runs of one system may differ."""
MAX_LABEL_KEYS = 3


@dataclass(frozen=True)
class ScoredRun:
    """A run with the scores and translations of one of its splits, as `evaluate` wrote them."""

    run: RunDirectory
    seed: int
    settings: dict[str, Any]
    """Settings that define its system: dotted configuration keys, and the search and precision of the scores."""
    scores: dict[str, dict[str, Any]]
    """For each metric its `score`, its `signature` and the other recorded values."""
    hypotheses: list[str]
    stem: Path
    """Path of the score files without their suffix."""
    command: str
    """Command that writes the score files again."""
    step: int | None = None
    """Training step of the checkpoint that translated; None: not recorded."""
    test_set: dict[str, Any] = field(default_factory=dict)
    """Recorded identity of the test set; empty in the records of older versions."""
    files: list[str] = field(default_factory=list)
    """Recorded paths of the user's source and reference files that are the test set."""

    @classmethod
    def open(
        cls,
        run: RunDirectory,
        split: str,
        metric: str | None = None,
        name: str | None = None,
        testset: str | None = None,
    ) -> "ScoredRun":
        """Read the scores and translations of a split.

        Args:
            run: run directory.
            split: split, further test set of the corpus, or recorded name of scores.
            metric: the only score to read; None: all scores.
            name: name of the score files if several searches translated the split; None: the name of the split.
            testset: name of a sacrebleu test set that replaces the split.

        Raises:
            UserError: the split has no scores, lacks this metric, or its files are damaged.
        """
        config = run.config()
        command = f"nmt-evaluate run={run.path} split={split}"
        if name:
            command += f" name={name}, with the same search"
        test_name = f"its {split} set"
        if testset is not None:
            name = scores_name(testset, pair_of(run))
            command, test_name = f"nmt-evaluate run={run.path} testset={testset}", f"testset={testset}"
        elif split not in (*SPLITS, *with_described_tests(config.data).test_names):
            recorded = sorted(path.stem for path in (run.path / "scores").glob("*.json"))
            command = f"nmt-evaluate run={run.path} name={split} src=FILE ref=FILE (or split=NAME)"
            test_name = f"the name {split} (it has: {', '.join(recorded) or 'none'})"
        stem = run.path / "scores" / (name or split)
        if not Path(f"{stem}.json").is_file() or not Path(f"{stem}.hyp").is_file():
            training = "" if run.finished else f"; finish its training with: nmt-train train.resume={run.path}"
            raise UserError(f"{run.path} has no scores of {test_name}{training}; compute them with: {command}")
        try:
            record = read_json(Path(f"{stem}.json"))
            made_by = record.pop("made_by")
            scores = {
                name: score
                for name, score in record.items()
                if isinstance(score, dict) and {"score", "signature"} <= set(score) and metric in (None, name)
            }
            if not all(map(is_valid_score, scores.values())):
                raise ValueError
            search, seed = dict(made_by["search"]), int(made_by["seed"])
            test_set, files = dict(made_by.get("test_set", {})), list(map(str, made_by.get("files", [])))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise UserError(f"{stem}.json is damaged; write it again with: {command}") from None
        if not scores:
            raise UserError(
                f"{stem}.json has no score metric={metric}; it has: {', '.join(record)}. Compute others with: {command}"
            )
        hypotheses = read_all(Path(f"{stem}.hyp"))
        settings = system_settings(config, search) | {
            "checkpoint": made_by.get("checkpoint", "best"),
            "ensemble": made_by.get("ensemble", []),
            "precision": made_by.get("precision", "float32"),
            "adapted": str(run.adapted.get("corrections_sha256"))[:8] if run.adapted else None,
        }
        step = made_by.get("checkpoint_step")
        return cls(run, seed, settings, scores, hypotheses, stem, command, step, test_set, files)


def system_settings(config: Config, search: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the dotted keys and values that the runs of one system share; `search` replaces that of the run."""
    values = flatten(asdict(config) | {"data": corpus_settings(config.data), "search": search or asdict(config.search)})
    return {key: value for key, value in values.items() if not key.startswith(IGNORED_KEYS)}


def is_valid_score(score: dict[str, Any]) -> bool:
    """Return True if the values have the expected types. An infinite perplexity is valid."""
    interval = score.get("interval")
    numbers = [score["score"], *(() if interval is None else interval)]
    return (
        isinstance(score["signature"], str)
        and len(numbers) in (1, 3)
        and all(is_number(number) and not math.isnan(number) for number in numbers)
    )


@dataclass
class System:
    """Runs that differ only in their seed."""

    runs: list[ScoredRun]
    label: str = ""
    cost: dict[str, float] = field(default_factory=dict)
    """Quantities of `training_cost`: means over the runs, and the maximum of the peak memory."""

    @property
    def seeds(self) -> list[int]:
        return [run.seed for run in self.runs]


def iterate_runs(paths: Sequence[str]) -> Iterator[RunDirectory]:
    """Yield the runs at the paths. A folder of runs yields its runs in the order of their numbers.

    Raises:
        UserError: a path is not a run or a folder of runs, a run is damaged, or a run is given twice.
    """
    seen: set[Path] = set()
    for path in paths:
        folder = user_path(path)
        records = sorted(folder.glob("*/run.json"), key=lambda record: (len(record.parent.name), record.parent.name))
        is_run = (folder / "run.json").is_file() or not records
        for name in [path] if is_run else [str(record.parent) for record in records]:
            run = RunDirectory.open(name)
            if run.path.resolve() in seen:
                raise UserError(f"{run.path} is given twice; remove one, because a run cannot be compared with itself")
            seen.add(run.path.resolve())
            yield run


def gather(
    paths: Sequence[str],
    split: str,
    metric: str | None = None,
    testset: str | None = None,
    location: CorpusLocation | None = None,
) -> tuple[list[System], EvaluationSet]:
    """Return the systems, in the order of their first runs, and the test set that all of them translated.

    Args:
        paths: run directories, or folders that hold run directories.
        split: split or further test set of the corpus that was scored, or the name under which scores were recorded.
        metric: the only score to read; None: all scores.
        testset: name of a sacrebleu test set that replaces the split.
        location: location of the corpus's files on this machine; None: as in the first run.

    Raises:
        UserError: a run has no scores, or its test set or a signature differs from the other runs'.
    """
    scored = [ScoredRun.open(run, split, metric, testset=testset) for run in iterate_runs(paths)]
    if metric is None:
        drop_incomparable_perplexity(scored)
    first = scored[0].run
    if testset is not None:
        test = named_test_set(scored, EvaluationSet.of_sacrebleu(testset, pair_of(first)))
    elif split not in SPLITS:
        data = with_location(with_described_tests(first.config().data), location or CorpusLocation())
        recorded = split not in data.test_names
        test = named_test_set(
            scored, recorded_set(scored[0], data) if recorded else EvaluationSet.of_run(first, split, data)
        )
    else:
        test = common_test_set(scored, split)
    systems = group_by_seed(scored)
    for system, label in zip(systems, system_labels(systems), strict=True):
        system.label = label
    return systems, test


def group_by_seed(scored: Sequence[ScoredRun]) -> list[System]:
    """Return the systems of the runs with their costs, in the order of their first runs."""
    systems = [System(runs) for runs in group_seeds(scored, lambda run: run.settings, lambda run: run.seed)]
    for system in systems:
        system.runs.sort(key=lambda run: run.seed)
        system.cost = mean_cost([training_cost(run.run) for run in system.runs])
    return systems


def group_seeds(
    runs: Iterable[T], settings_of: Callable[[T], dict[str, Any]], seed_of: Callable[[T], int]
) -> list[list[T]]:
    """Return groups of runs with equal settings and different seeds, in the order of their first runs."""
    groups: list[list[T]] = []
    for run in runs:
        for group in groups:
            if settings_of(group[0]) == settings_of(run) and seed_of(run) not in map(seed_of, group):
                group.append(run)
                break
        else:
            groups.append([run])
    return groups


def common_test_set(scored: Sequence[ScoredRun], split: str) -> EvaluationSet:
    """Return the test set that all runs translated.

    Raises:
        UserError: a run's test set or a signature differs from the other runs'.
    """
    test = EvaluationSet.of_run(scored[0].run, split)
    for run in scored:
        check_same_test_set(run, scored[0], test)
        check_same_signatures(run, scored)
    return test


def sha256_of_set(test: EvaluationSet) -> str:
    """Return the SHA-256 of the source and reference lines."""
    return sha256_of_lines([*test.src, *(line for lines in test.references for line in lines)])


def named_test_set(scored: Sequence[ScoredRun], evaluation_set: EvaluationSet) -> EvaluationSet:
    """Return a test set that is not in the runs, after checking that all runs translated it.

    Raises:
        UserError: a run translated other sentences, or a signature differs from the other runs'.
    """
    identity = evaluation_set.identity()
    for run in scored:
        if any(run.test_set.get(key) != identity[key] for key in ("src_sha256", "ref_sha256")):
            raise UserError(
                f"{run.stem}.json has scores of other sentences than the test set {evaluation_set.name}; score it "
                f"again: {run.command}"
            )
        check_number_of_lines(run, len(evaluation_set.src))
        check_same_signatures(run, scored)
    return evaluation_set


def recorded_set(scored: ScoredRun, data: DataConfig) -> EvaluationSet:
    """Return the test set of recorded scores: the user's files, a test set of sacrebleu, or a set of the corpus.

    Raises:
        UserError: the record does not say where its sentences are, or they are no longer there.
    """
    test_set, name = scored.test_set, scored.stem.name
    if scored.files:
        if len(scored.files) < 2 or not all(is_regular(user_path(path)) for path in scored.files):
            raise UserError(f"the files of {scored.stem}.json are missing or moved; score them again: {scored.command}")
        return replace(EvaluationSet.of_files(*scored.files), name=name)
    if "test" in test_set:
        return EvaluationSet.of_sacrebleu(str(test_set["test"]), str(test_set["lang"]))
    if test_set.get("name") not in (*SPLITS, *data.test_names):
        raise UserError(
            f"{scored.stem}.json does not name the files of its sentences; write it again: {scored.command}"
        )
    return replace(EvaluationSet.of_run(scored.run, str(test_set["name"]), data), name=name)


def pair_of(run: RunDirectory) -> str:
    """Return the language pair of a run in sacrebleu's form, such as en-de."""
    data = run.config().data
    return f"{data.src_lang}-{data.tgt_lang}"


def check_same_test_set(run: ScoredRun, first: ScoredRun, test: EvaluationSet) -> None:
    """Raise a UserError if a run's test set is not the first run's."""
    if sha256_of_set(EvaluationSet.of_run(run.run, test.name)) != sha256_of_set(test):
        raise UserError(
            f"{run.run.path} has another {test.name} set than {first.run.path}; compare runs with the same sentences "
            "and references"
        )
    check_number_of_lines(run, len(test.src))


def check_number_of_lines(run: ScoredRun, sentences: int) -> None:
    if len(run.hypotheses) != sentences:
        raise UserError(
            f"{run.stem}.hyp has {len(run.hypotheses)} lines for {sentences} sentences; write it again with: "
            f"{run.command}"
        )


def check_same_signatures(run: ScoredRun, scored: Sequence[ScoredRun]) -> None:
    """Raise a UserError if a score of the run has another signature in another run."""
    for name, score in run.scores.items():
        for other in scored:
            signature = other.scores.get(name, score)["signature"]
            if signature != score["signature"]:
                raise UserError(
                    f"{name} has the signature {score['signature']} in {run.run.path} and {signature} in "
                    f"{other.run.path}; score both by nmt-evaluate with the same version, or choose another score by "
                    "metric="
                )


def drop_incomparable_perplexity(scored: Sequence[ScoredRun]) -> None:
    """Remove perplexity per piece from all runs if their vocabularies differ. The other scores stay comparable."""
    signatures = {run.scores["perplexity"]["signature"] for run in scored if "perplexity" in run.scores}
    if len(signatures) > 1:
        for run in scored:
            run.scores.pop("perplexity", None)
        log.info("perplexity per piece is not compared, because the runs have different vocabularies")


def training_cost(run: RunDirectory) -> dict[str, float]:
    """Return the recorded cost of a training.

    The keys are parameters, seconds, cpu_seconds, tokens_per_second (target tokens) and peak_memory_bytes. Runs of
    older versions lack parameters, processor time and memory.
    """
    cost = dict(run.facts)
    metrics = run.metrics()
    if speeds := [line["train/tokens_per_second"] for line in metrics if "train/tokens_per_second" in line]:
        cost["tokens_per_second"] = median(speeds)
    if seconds := [line["valid/seconds"] for line in metrics if "valid/seconds" in line]:
        cost.setdefault("seconds", seconds[-1])
    return cost


def mean_cost(costs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each quantity that all runs recorded, and the maximum of their peak memory."""
    names = [name for name in costs[0] if all(name in cost for cost in costs)]
    combine = {"peak_memory_bytes": max}
    return {name: combine.get(name, mean)([cost[name] for cost in costs]) for name in names}


def system_labels(systems: Sequence[System]) -> list[str]:
    """Return a short label for each system: its differing settings, or directory names if a label has too many."""
    first = systems[0].runs[0].settings
    differing: list[str] = []
    for system in systems[1:]:
        settings = system.runs[0].settings
        differing += [key for key in settings if settings[key] != first.get(key) and key not in differing]
    words = []
    for system in systems:
        settings = system.runs[0].settings
        keys = [key for key in differing if system is systems[0] or settings.get(key) != first.get(key)]
        words.append([f"{key}={format_setting(settings.get(key))}" for key in keys])
    short = all(len(of_system) <= MAX_LABEL_KEYS for of_system in words)
    labels = [
        ", ".join(of_system) if short and of_system else system.runs[0].run.path.resolve().name
        for system, of_system in zip(systems, words, strict=True)
    ]
    return [
        f"{label} ({system.runs[0].run.path})" if labels.count(label) > 1 else label
        for label, system in zip(labels, systems, strict=True)
    ]


def format_setting(value: object) -> str:
    """Return a setting as it is written on the command line."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
