"""Measurement of one row with one seed: a small file that replaces the run when rows are compared.

The file has the settings of the training, its cost, the scores, and for each sentence of the test set the statistics of
BLEU and chrF, from which corpus scores, intervals and tests are computed exactly. It has no text of the corpus and no
translation. Lengths of sources and references are in a file of the test set, which all measurements on it share.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nmt.data import read_json, write_json
from nmt.errors import UserError
from nmt.lab.comparison.compare import TOLERANCE, source_lengths
from nmt.lab.comparison.statistics import RunStatistics
from nmt.lab.comparison.systems import ScoredRun, check_number_of_lines, training_cost
from nmt.metrics import Counts, Scorer, Table, restore, shorten
from nmt.run import RunDirectory, is_number

FORMAT = 1
"""Version of the files of measurements and test sets."""
METRICS = ("bleu", "chrf")
"""Scores with statistics of each sentence."""
SETS = "test_sets"
"""Folder of the files of test sets, below the measurements."""
MACHINE_FIELDS = ("time", "commit", "processor", "cores", "threads")


@dataclass(frozen=True)
class SetLengths:
    """Lengths of the N sentences of a test set, and the digests that identify its text."""

    src_sha256: str
    ref_sha256: str
    unit: str
    """Unit of the source lengths: word or character."""
    src: list[int]
    """Length of each source sentence, (N,)."""
    references: dict[str, list[int]]
    """For each score, the length of each reference in its units (BLEU: tokens, chrF: characters), (N,)."""

    @property
    def name(self) -> str:
        """Name of its file, a hash of the content."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Measurement:
    """Measurement of a trained model with one search."""

    key: str
    """Key of the training when it was measured."""
    scores_name: str
    """Name of the scores of the row's search on the test set."""
    settings: dict[str, Any]
    """Settings of the training, from which its present key is computed."""
    overrides: list[str]
    """Overrides of the training, without the seed."""
    search: list[str]
    """Overrides of the search; empty: the search of the run."""
    seed: int
    precision: str
    """Precision of training: float32 or bfloat16; unknown in the logs of older versions."""
    starts: list[dict[str, Any]]
    """Time, commit, processor, cores, threads and version of torch of each start of the training."""
    cost: dict[str, float]
    """Quantities of `training_cost`."""
    valid: dict[str, dict[str, Any]]
    """Scores on the validation set, with signatures."""
    test: dict[str, dict[str, Any]]
    """Scores on the test set, with signatures and intervals."""
    lengths: SetLengths
    tables: dict[str, Table]
    """Statistics of each sentence of the test set, (N, C), for each of `METRICS`."""
    speed: dict[str, Any] = field(default_factory=dict)
    """Speed of translation with the machine it was measured on; empty if it was not measured."""

    @property
    def name(self) -> str:
        """Name of its file, without suffix."""
        return f"{self.key}.{self.scores_name}"

    @property
    def spent(self) -> float:
        """Processor seconds of the training."""
        return self.cost.get("cpu_seconds", 0.0)

    @property
    def trained_on(self) -> set[str]:
        """Processors and precision of the training, between which costs are not compared."""
        return {f"{start['cores']} x {start['processor']} in {self.precision}" for start in self.starts}

    @property
    def translated_on(self) -> set[str]:
        """Processor of the measurement of speed; empty without one."""
        return {f"{self.speed['cores']} x {self.speed['processor']}"} if self.speed else set()

    def statistics(self) -> RunStatistics:
        """Return the scores and statistics that a comparison needs."""
        return RunStatistics(self.key, {name: self.test[name] for name in METRICS}, self.tables)


def measure_run(
    run: RunDirectory,
    key: str,
    settings: dict[str, Any],
    overrides: list[str],
    search: list[str],
    names: Mapping[str, str],
    speed: Mapping[str, Any],
) -> Measurement:
    """Return the measurement of a run with one search.

    Args:
        run: finished run.
        key: key of its training.
        settings: settings that the key is computed from.
        overrides: overrides of its training, without the seed.
        search: overrides of the search.
        names: name of the files with the scores of the validation set and of the test set.
        speed: measured speed of translation; empty if there is none.

    Raises:
        UserError: scores or translations are damaged, or the statistics have no short form.
    """
    valid = ScoredRun.open(run, "valid", name=names["valid"])
    scored = ScoredRun.open(run, "test", name=names["test"])
    src, references = run.text("test")
    check_number_of_lines(scored, len(src))
    tables: dict[str, Table] = {}
    for name in METRICS:
        scorer = Scorer.from_signature(scored.scores[name]["signature"]) if name in scored.scores else None
        if scorer is None or scorer.references != 1:
            raise UserError(f"{scored.stem}.json has no {name} with one reference; write it again: {scored.command}")
        tables[name] = scorer.table(scored.hypotheses, references)
        check_score(name, scorer, tables[name], scored.scores[name], f"{scored.stem}.hyp", scored.command)
    try:
        lengths_of = {name: shorten(name, table)[0].tolist() for name, table in tables.items()}
    except ValueError as error:
        raise UserError(f"{scored.stem}.hyp cannot be stored as a measurement: {error}") from None
    unit, lengths = source_lengths(src)
    digests = run.record()["sha256"]
    of_set = SetLengths(digests["data/test.src"], digests["data/test.tgt"], unit, lengths.tolist(), lengths_of)
    starts = [
        {name: start.get(name) for name in MACHINE_FIELDS} | {"torch": start["libraries"]["torch"]}
        for start in run.record()["starts"]
    ]
    return Measurement(
        key=key,
        scores_name=names["test"],
        settings=settings,
        overrides=overrides,
        search=search,
        seed=scored.seed,
        precision=training_precision(run),
        starts=starts,
        cost=training_cost(run),
        valid={name: {part: score[part] for part in ("score", "signature")} for name, score in valid.scores.items()},
        test=scored.scores,
        lengths=of_set,
        tables=tables,
        speed=speed_of(speed),
    )


def training_precision(run: RunDirectory) -> str:
    """Return the precision in which a run was trained, from its log; several are joined by a plus sign."""
    try:
        lines = (run.path / "train.log").read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        lines = []
    found = {line.rpartition(" in ")[2] for line in lines if " million parameters on " in line}
    return "+".join(sorted(found & {"bfloat16", "float32"})) or "unknown"


def speed_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of a measurement of speed that the page shows."""
    if not record:
        return {}
    machine = {name: record.get(name) for name in MACHINE_FIELDS}
    return {"sentences_per_second": record["sentences_per_second"], **machine}


def check_score(name: str, scorer: Scorer, table: Table, record: Mapping[str, Any], file: str, remedy: str) -> None:
    """Raise a UserError if the statistics do not have the recorded score."""
    score, recorded = scorer.score(table.sum(axis=0)), record["score"]
    if abs(score - recorded) > TOLERANCE:
        raise UserError(f"{file} has {name} {score:.2f}, but {recorded:.2f} was recorded; score it again: {remedy}")


def write_measurement(measurement: Measurement, folder: Path) -> Path:
    """Write the files of a measurement and of its test set atomically, and return the path of the measurement."""
    sets = folder / SETS
    sets.mkdir(parents=True, exist_ok=True)
    lengths = measurement.lengths
    of_set = sets / f"{lengths.name}.json"
    if not of_set.is_file():
        write_json(of_set, {"format": FORMAT, **asdict(lengths)}, compact=True)
    record = {name: value for name, value in vars(measurement).items() if name not in ("lengths", "tables")}
    rows = {name: shorten(name, table)[1].T.tolist() for name, table in measurement.tables.items()}
    path = folder / f"{measurement.name}.json"
    write_json(path, {"format": FORMAT, **record, "test_set": lengths.name, "statistics": rows}, compact=True)
    return path


def read_measurement(path: Path, sets: dict[str, SetLengths]) -> Measurement:
    """Read a measurement and check it. `sets` caches the test sets by name.

    Raises:
        UserError: the file or that of its test set is missing or damaged.
    """
    try:
        record = read_json(path)
        if record.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        rows, name = record.pop("statistics"), str(record.pop("test_set"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(path, path.stem, error) from None
    if name not in sets:
        sets[name] = read_lengths(path.parent / SETS / f"{name}.json", path)
    lengths = sets[name]
    try:
        tables = {score: restore(score, integers(lengths.references[score]), columns(rows[score])) for score in METRICS}
        measurement = Measurement(**record, lengths=lengths, tables=tables)
        check_types(measurement)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise damaged(path, str(record.get("key")), error) from None
    for score in METRICS:
        scorer = Scorer.from_signature(measurement.test[score]["signature"])
        if scorer is None:
            raise damaged(path, measurement.key, f"{score} has an unknown signature")
        value = scorer.score(tables[score].sum(axis=0))
        if abs(value - measurement.test[score]["score"]) > TOLERANCE:
            raise damaged(path, measurement.key, f"its statistics have {score} {value:.2f}")
    return measurement


def read_lengths(path: Path, measurement: Path) -> SetLengths:
    """Read the file of a test set, which `measurement` names.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        record = read_json(path)
        if record.pop("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        lengths = SetLengths(**record)
        if lengths.name != path.stem:
            raise ValueError("its content does not have the hash in its name")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(path, f"test set of {measurement.stem}", error) from None
    return lengths


def columns(rows: list[list[int]]) -> Counts:
    """Return the short rows, (N, K), of stored columns."""
    return np.stack([integers(column) for column in rows], axis=1)


def integers(values: list[int]) -> Counts:
    """Return a list as an array; anything but a list of integers raises `ValueError`."""
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise ValueError("a column of its statistics is not a list of integers")
    return np.array(values, dtype=np.int64)


def check_types(measurement: Measurement) -> None:
    """Raise a ValueError, KeyError or TypeError if a value has not the type that `write_measurement` writes."""
    texts = [measurement.key, measurement.scores_name, measurement.precision]
    texts += [*measurement.overrides, *measurement.search]
    if not all(isinstance(text, str) for text in texts) or type(measurement.seed) is not int:
        raise ValueError("its key, overrides or seed have another type")
    numbers = [*measurement.cost.values(), *(score["score"] for score in measurement.valid.values())]
    numbers += [measurement.test[name]["score"] for name in METRICS] + [measurement.valid["bleu"]["score"]]
    if measurement.speed:
        numbers.append(measurement.speed["sentences_per_second"])
    if not all(map(is_number, numbers)):
        raise ValueError("a cost or score is not a number")
    if not measurement.starts:
        raise ValueError("it has no start of a training")
    for start in [*measurement.starts, *([measurement.speed] if measurement.speed else [])]:
        if not set(MACHINE_FIELDS) <= set(start):
            raise ValueError(f"a start or the speed lacks one of {', '.join(MACHINE_FIELDS)}")
    if not isinstance(measurement.settings, dict):
        raise TypeError("its settings are not an object")


def damaged(path: Path, key: str, why: object) -> UserError:
    reason = f"{why} is missing" if isinstance(why, KeyError) else str(why)
    return UserError(f"{path} ({key}) is damaged: {reason}; restore it, or delete it to measure the row again")
