"""Questions with fake trainings: runs and scores are written without training or decoding."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from scored_run import SENTENCES, write_scores

from nmt.cli import questions
from nmt.cli.launch.local_jobs import LocalJob
from nmt.cli.questioning.measurements import Measurements
from nmt.cli.questioning.runs import Training
from nmt.cli.questioning.tables import rows_of, tables_of
from nmt.config import Config, EvaluateConfig, Question, QuestionsConfig, load_config, with_search
from nmt.data import prepare
from nmt.metrics import significance
from nmt.run import RunDirectory, provenance

CORPUS = ["data.phrasebook.train=150", "data.phrasebook.valid=4", "data.tokenizer.vocab_size=150"]
BASE = [*CORPUS, f"data.phrasebook.test={SENTENCES}"]
GOOD = {"label": "LSTM"}
BAD = {"label": "GRU", "overrides": ["model/encoder=gru", "model.decoder.cell=gru"]}
GREEDY = {"label": "greedy", "search": ["search=greedy"]}
BY_BOTH = {"says": "A paper found the first better", "better": "LSTM", "worse": "GRU"}
BY_OTHER = {"says": "Another found the second better", "better": "GRU", "worse": "LSTM"}
HIGH_RATE = 0.5
HOLDS = {"best": "LSTM", "verdicts": {"GRU": "worse"}}


@pytest.fixture(autouse=True)
def few_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "TRIALS", 200)
    monkeypatch.setattr(significance, "RESAMPLES", 80)


@cache
def read_config(text: str, folder: Path) -> Config:
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return load_config(Config, folder / "config.yaml")


@pytest.fixture(autouse=True)
def quick(composing: None, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Cache the configurations of runs, and draw no pictures; both are slow."""
    folder = tmp_path_factory.getbasetemp()
    read = lambda run: read_config(run.config_path.read_text(encoding="utf-8"), folder)  # noqa: E731
    monkeypatch.setattr(RunDirectory, "config", read)
    monkeypatch.setattr(questions, "draw_question", lambda parts, picture: None)


@cache
def origin() -> dict[str, Any]:
    return provenance([]) | {"threads": 1, "cores": 2}


def first_word_last(line: str) -> str:
    first, *others = line.split()
    return " ".join([*others, first])


def translations(run: RunDirectory, config: Config, split: str = "test") -> list[str]:
    """Return the references with errors.

    They are in every fourth sentence if the learning rate is high, otherwise in two of three for a GRU and in one of
    nine for other cells.
    """
    wrong: Callable[[int], bool] = (
        (lambda at: at % 3 > 0) if config.model.decoder.cell == "gru" else (lambda at: at % 9 == 0)
    )
    if config.optim.learning_rate > HIGH_RATE / 2:
        wrong = lambda at: at % 4 == 0  # noqa: E731
    return [first_word_last(line) if wrong(at + config.seed) else line for at, line in enumerate(run.text(split)[1])]


def write_question(folder: Path, name: str, *rows: dict[str, Any], **changes: Any) -> None:
    part = {"name": "Words", "overrides": BASE, "minutes": 2, "rows": list(rows)}
    part |= {
        key: changes.pop(key)
        for key in list(changes)
        if key in ("by_length", "literature", "claim", "learning_rates", "by_cost", "overrides")
    }
    content = {"title": f"About {name}", "question": "Which?", "seeds": [1, 2], "parts": [part], **changes}
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(json.dumps(content), encoding="utf-8")


def parse_overrides(words: Sequence[str]) -> dict[str, str]:
    """Return the keys and values of Hydra overrides."""
    overrides = OverridesParser.create().parse_overrides(list(words))
    return {override.key_or_group: str(override.value()) for override in overrides}


class Trainer:
    """Replacement for `run_jobs` that writes the runs and scores of the jobs; jobs named in `failing` fail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[str] = []
        self.failing: list[str] = []
        self.late = False
        """True if the time limit is over."""

    def __call__(
        self,
        jobs: Sequence[LocalJob],
        at_once: int,
        logs: Path,
        ended: Callable[[LocalJob], Sequence[LocalJob] | None] = lambda job: None,
        until: float = math.inf,
    ) -> Any:
        waiting = list(jobs)
        while waiting:
            job = waiting.pop(0)
            if job.name in self.failing or (self.late and not job.always):
                continue
            self.made.append(job.name)
            overrides = parse_overrides(job.command[3:])
            if job.command[2] == "nmt.cli.evaluate":
                search = [word for word in job.command[3:] if word.startswith("search")]
                self.translate(RunDirectory.open(overrides["run"]), overrides["split"], overrides["name"], search)
            else:
                self.train(RunDirectory(Path(overrides["hydra.run.dir"])), int(overrides["seed"]))
            waiting = [*(ended(job) or ()), *waiting]
        return dict.fromkeys(self.failing, "out of memory")

    def translate(self, run: RunDirectory, split: str, name: str, words: list[str]) -> None:
        """Write translations: the references with another search, and the usual errors with the run's own search."""
        _, search = with_search(EvaluateConfig, compose("evaluate", ["run=any", *words]), run.config().search)
        config = run.config()
        lines = run.text(split)[1] if words else translations(run, config, split)
        write_scores(run, lines, config.seed, split=split, name=name, search=asdict(search))

    def train(self, run: RunDirectory, seed: int) -> None:
        (config,) = (training.config for training in trainings(self.folder) if run.path.name == training.key)
        assert config.seed == seed
        run.create(config, prepare(config.data))
        run.add_start(origin())
        run.add_facts(parameters=1_000_000, seconds=60.0 * seed, cpu_seconds=60.0 * seed, peak_memory_bytes=2**30)
        run.finish()
        (run.path / "train.log").write_text("12:00  1.00 million parameters on cpu in float32\n", encoding="utf-8")
        write_scores(run, translations(run, config), config.seed)


def trainings(folder: Path) -> list[Training]:
    paths = sorted((folder / "questions").glob("*.yaml"))
    loaded = [load_config(Question, path) for path in paths]
    measurements = Measurements(folder / "measurements")
    rows = rows_of((table for question in loaded for table in tables_of(question, "a file")), measurements)
    return list({row.key: row for row in rows}.values())


@pytest.fixture(name="trainer")
def make_trainer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Trainer:
    made = Trainer(tmp_path)
    monkeypatch.setattr(questions, "run_jobs", made)
    return made


def answer_questions(folder: Path, **settings: Any) -> str:
    """Run the command and return the page, or an empty string if there is none."""
    places = {
        "folder": str(folder / "questions"),
        "runs": str(folder / "runs"),
        "measurements": str(folder / "measurements"),
        "page": str(folder / "docs" / "page.md"),
    }
    questions.command(OmegaConf.structured(QuestionsConfig(**places, **settings)))
    page = folder / "docs" / "page.md"
    return page.read_text(encoding="utf-8") if page.is_file() else ""


def forget_measurements(folder: Path) -> None:
    for path in (folder / "measurements").glob("*.json"):
        path.unlink()


def line_of(page: str, label: str, table: str = "row") -> list[str]:
    """Return the cells of a row, without its label, from the first table that has the row and this first heading."""
    for block in page.split("\n\n"):
        lines = block.split("\n")
        if lines[0].startswith(f"| {table} |"):
            for line in lines[2:]:
                first, *cells = [cell.strip() for cell in line.strip("|").split("|")]
                if first == label:
                    return cells
    raise AssertionError(f"no table {table} with a row {label}")
