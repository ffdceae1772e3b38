"""The systems of a comparison: scored runs, those that differ by their seed alone taken together."""

import hashlib
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

from nmt.config import path_of
from nmt.data import read_all, read_json
from nmt.errors import UserError
from nmt.evaluation.sets import EvaluationSet, scores_name
from nmt.run import CORPUS_PLACES, CORPUS_PREPARATION, RunDirectory, is_number

log = logging.getLogger(__name__)

# What makes no other system of a run: the seed, where files are, how they are prepared, what is logged and computes.
OF_THE_CORPUS = tuple(f"data.{key}" for key in (*CORPUS_PLACES, *CORPUS_PREPARATION))
ASIDE = ("seed", "tracking.", "train.resume", "train.log_every", "machine.device", "machine.threads", *OF_THE_CORPUS)
MOST_IN_A_LABEL = 3


@dataclass(frozen=True)
class ScoredRun:
    """A run, and what `evaluate` left of one of its splits."""

    run: RunDirectory
    seed: int
    settings: dict[str, Any]
    """What makes it the system that it is: dotted keys of the configuration, the search and precision of the scores."""
    scores: dict[str, dict[str, Any]]
    """Of each metric `score`, `signature` and whatever else was recorded."""
    hypotheses: list[str]
    stem: Path
    """Of the files of scores, without ending."""
    command: str
    """Makes them anew."""
    step: int | None = None
    """Of the checkpoint that made them; None: not recorded."""
    test_set: dict[str, Any] = field(default_factory=dict)
    """Recorded identity of the test set; empty in runs of an older version."""

    @classmethod
    def open(
        cls,
        run: RunDirectory,
        split: str,
        metric: str | None = None,
        name: str | None = None,
        testset: str | None = None,
    ) -> "ScoredRun":
        """
        Args:
            run: the run.
            split: whose scores.
            metric: the only score that is asked for; None: all of them.
            name: of the files of scores, where several searches translated one split; None: the split's.
            testset: a test set of sacrebleu, instead of the split.

        Raises:
            UserError: the split is not scored, not by this metric, or its files are damaged.
        """
        config = run.config()
        command = f"nmt-evaluate run={run.path} split={split}" + (f" name={name}, and the same search" if name else "")
        what = f"its {split} set"
        if testset is not None:
            name = scores_name(testset, pair_of(run))
            command, what = f"nmt-evaluate run={run.path} testset={testset}", f"testset={testset}"
        stem = run.path / "scores" / (name or split)
        if not Path(f"{stem}.json").is_file() or not Path(f"{stem}.hyp").is_file():
            unfinished = "" if run.finished else f"; its training has not ended: nmt-train train.resume={run.path}"
            raise UserError(f"{run.path} has no scores of {what}{unfinished}; they are made by: {command}")
        try:
            record = read_json(Path(f"{stem}.json"))
            made_by = record.pop("made_by")
            scores = {
                name: score
                for name, score in record.items()
                if isinstance(score, dict) and {"score", "signature"} <= set(score) and metric in (None, name)
            }
            if not all(map(is_score, scores.values())):
                raise ValueError
            search, seed = dict(made_by["search"]), int(made_by["seed"])
            test_set = dict(made_by.get("test_set", {}))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise UserError(f"{stem}.json is damaged; it is made anew by: {command}") from None
        if not scores:
            there = ", ".join(name for name in record)
            raise UserError(f"{stem}.json has no score metric={metric}; it has: {there}; others are made by: {command}")
        hypotheses = read_all(Path(f"{stem}.hyp"))
        settings = flat(asdict(config) | {"search": search})
        settings |= {
            "checkpoint": made_by.get("checkpoint", "best"),
            "ensemble": made_by.get("ensemble", []),
            "precision": made_by.get("precision", "float32"),
        }
        settings = {key: value for key, value in settings.items() if not key.startswith(ASIDE)}
        return cls(run, seed, settings, scores, hypotheses, stem, command, made_by.get("checkpoint_step"), test_set)

    @property
    def overrides(self) -> list[str]:
        """What the user set when the run was started, but for what is set aside."""
        given = self.run.record()["starts"][0].get("overrides", []) if self.run.record()["starts"] else []
        return [word for word in given if not word.lstrip("+~").startswith(ASIDE)]


def is_score(score: dict[str, Any]) -> bool:
    """Whether it has the types that are written; an infinite perplexity is one."""
    interval = score.get("interval")
    numbers = [score["score"], *(() if interval is None else interval)]
    return (
        isinstance(score["signature"], str)
        and len(numbers) in (1, 3)
        and all(is_number(number) and not math.isnan(number) for number in numbers)
    )


@dataclass
class System:
    """Runs that differ by their seed alone."""

    runs: list[ScoredRun]
    label: str = ""
    cost: dict[str, float] = field(default_factory=dict)
    """As `measured`: means over the runs, of the memory the most."""

    @property
    def seeds(self) -> list[int]:
        return [each.seed for each in self.runs]


@dataclass(frozen=True)
class TestSet:
    split: str
    """valid, test, or sacrebleu's name of a test set."""
    src: Sequence[str]
    references: Sequence[str]
    """The first reference of each sentence."""
    further_references: Sequence[Sequence[str]] = ()
    """Lists as long as `src`, of a test set with several references."""

    @property
    def all_references(self) -> list[Sequence[str]]:
        return [self.references, *self.further_references]

    @property
    def sha256(self) -> str:
        """SHA-256 of the source and reference lines."""
        digest = hashlib.sha256()
        for line in (*self.src, *(line for lines in self.all_references for line in lines)):
            digest.update(line.encode() + b"\n")
        return digest.hexdigest()


def flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted keys."""
    if not isinstance(tree, dict):
        return {prefix[:-1]: tree}
    return {key: value for name, child in tree.items() for key, value in flat(child, f"{prefix}{name}.").items()}


def runs_in(paths: Sequence[str]) -> Iterator[RunDirectory]:
    """The runs that are named, and those in the folders that are named, in the order of their numbers.

    Raises:
        UserError: there is none, one is damaged, or named twice.
    """
    seen: set[Path] = set()
    for given in paths:
        folder = path_of(given)
        inside = sorted(folder.glob("*/run.json"), key=lambda path: (len(path.parent.name), path.parent.name))
        found = [RunDirectory.open(given)] if (folder / "run.json").is_file() or not inside else []
        for run in found or [RunDirectory.open(str(path.parent)) for path in inside]:
            if run.path.resolve() in seen:
                raise UserError(f"{run.path} is named twice; a run is compared with others, not with itself")
            seen.add(run.path.resolve())
            yield run


def gather(
    paths: Sequence[str], split: str, metric: str | None = None, testset: str | None = None
) -> tuple[list[System], TestSet]:
    """Return the systems, in the order of their first runs, and the test set that all of them translated.

    Args:
        paths: run directories, or folders that hold some.
        split: whose scores.
        metric: the only score that is asked for; None: all of them.
        testset: a test set of sacrebleu, instead of the split.

    Raises:
        UserError: a run has no scores, another test set, or a score of another signature than the others.
    """
    scored = [ScoredRun.open(run, split, metric, testset=testset) for run in runs_in(paths)]
    if metric is None:
        leave_out_perplexity_per_piece(scored)
    test = common_test_set(scored, split) if testset is None else named_test_set(scored, testset)
    systems: list[System] = []
    for each in scored:
        for system in systems:
            if system.runs[0].settings == each.settings and each.seed not in system.seeds:
                system.runs.append(each)
                break
        else:
            systems.append(System([each]))
    for system in systems:
        system.runs.sort(key=lambda each: each.seed)
        system.cost = mean_cost([measured(each.run) for each in system.runs])
    for system, label in zip(systems, labels(systems), strict=True):
        system.label = label
    return systems, test


def common_test_set(scored: Sequence[ScoredRun], split: str) -> TestSet:
    """The test set that all of them translated.

    Raises:
        UserError: a run has another one, or a score of another signature than the others.
    """
    test = TestSet(split, *scored[0].run.text(split))
    for each in scored:
        refuse_another_test_set(each, scored[0], test)
        refuse_another_signature(each, scored)
    return test


def named_test_set(scored: Sequence[ScoredRun], testset: str) -> TestSet:
    """Return a test set of sacrebleu, with all its references, that all of the runs translated.

    Raises:
        UserError: a run translated another one, or has a score of another signature than the others.
    """
    pair = pair_of(scored[0].run)
    found = EvaluationSet.of_sacrebleu(testset, pair)
    identity = found.identity()
    for each in scored:
        if any(each.test_set.get(key) != identity[key] for key in ("src_sha256", "ref_sha256")):
            raise UserError(
                f"{each.stem}.json is not about the sentences of testset={testset} for {pair}; score it again: "
                f"{each.command}"
            )
        refuse_another_number_of_lines(each, len(found.src))
        refuse_another_signature(each, scored)
    reference, *others = found.references
    return TestSet(testset, found.src, reference, others)


def pair_of(run: RunDirectory) -> str:
    """Return the languages of a run as sacrebleu writes them: en-de."""
    data = run.config().data
    return f"{data.src_lang}-{data.tgt_lang}"


def refuse_another_test_set(each: ScoredRun, first: ScoredRun, test: TestSet) -> None:
    other = TestSet(test.split, *each.run.text(test.split))
    if other.sha256 != test.sha256:
        raise UserError(
            f"{each.run.path} has another {test.split} set than {first.run.path}; scores of different sentences or "
            "references cannot be compared"
        )
    refuse_another_number_of_lines(each, len(test.src))


def refuse_another_number_of_lines(each: ScoredRun, sentences: int) -> None:
    if len(each.hypotheses) != sentences:
        raise UserError(
            f"{each.stem}.hyp has {len(each.hypotheses)} lines for {sentences} sentences; it is made anew by: "
            f"{each.command}"
        )


def refuse_another_signature(each: ScoredRun, scored: Sequence[ScoredRun]) -> None:
    for name, score in each.scores.items():
        for other in scored:
            theirs = other.scores.get(name, score)["signature"]
            if theirs != score["signature"]:
                raise UserError(
                    f"{name} of {each.run.path} has the signature {score['signature']}, of {other.run.path} {theirs}; "
                    "score both by nmt-evaluate with the same version, or choose another score by metric="
                )


def leave_out_perplexity_per_piece(scored: Sequence[ScoredRun]) -> None:
    """Of runs with other vocabularies it is no score of one kind, and no reason to refuse all the others."""
    found = {each.scores["perplexity"]["signature"] for each in scored if "perplexity" in each.scores}
    if len(found) > 1:
        for each in scored:
            each.scores.pop("perplexity", None)
        log.info("perplexity per piece is left out: not all runs have the same vocabulary")


def measured(run: RunDirectory) -> dict[str, float]:
    """What is known of a training's cost: parameters, seconds, tokens_per_second (of the target), and
    peak_memory_bytes; parameters and memory are not in runs of an older version."""
    found = dict(run.facts)
    metrics = run.metrics()
    if speeds := [line["train/tokens_per_second"] for line in metrics if "train/tokens_per_second" in line]:
        found["tokens_per_second"] = median(speeds)
    if seconds := [line["valid/seconds"] for line in metrics if "valid/seconds" in line]:
        found.setdefault("seconds", seconds[-1])
    return found


def mean_cost(costs: Sequence[dict[str, float]]) -> dict[str, float]:
    """A quantity that is not known of all runs is not known."""
    names = [name for name in costs[0] if all(name in cost for cost in costs)]
    combine = {"peak_memory_bytes": max}
    return {name: combine.get(name, mean)([cost[name] for cost in costs]) for name in names}


def labels(systems: Sequence[System]) -> list[str]:
    """What tells each system from the others, in few words: its settings, the command's, or the run's name."""
    first = systems[0].runs[0].settings
    differing: list[str] = []
    for system in systems[1:]:
        own = system.runs[0].settings
        differing += [key for key in own if own[key] != first.get(key) and key not in differing]
    found = []
    for system in systems:
        run = system.runs[0]
        keys = [key for key in differing if system is systems[0] or run.settings.get(key) != first.get(key)]
        words = [f"{key}={shown(run.settings.get(key))}" for key in keys]
        if len(words) > MOST_IN_A_LABEL:
            words = [given for given in run.overrides if given not in systems[0].runs[0].overrides]
        name = ", ".join(words) if 0 < len(words) <= MOST_IN_A_LABEL else run.run.path.resolve().name
        found.append(name)
    return [
        f"{label} ({system.runs[0].run.path})" if found.count(label) > 1 else label
        for label, system in zip(found, systems, strict=True)
    ]


def shown(value: object) -> str:
    """A setting as it is written on the command line."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
