"""Questions of scripts/questions.py without training: a fake trainer writes the files that the commands would write."""

import json
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
from nmt.cli.launch.local_jobs import Job
from nmt.cli.questioning.runs import Training, tables_of, trainings_of
from nmt.config import Config, EvaluateConfig, Question, QuestionsConfig, load_config, with_search
from nmt.data import prepare
from nmt.metrics import significance
from nmt.run import RunDirectory, provenance

CORPUS = ["data.phrasebook.train=150", "data.phrasebook.valid=4", "data.tokenizer.vocab_size=150"]
BASE = [*CORPUS, f"data.phrasebook.test={SENTENCES}"]
GOOD = {"label": "LSTM"}
BAD = {"label": "GRU", "overrides": ["model.cell=gru"]}
GREEDY = {"label": "greedy", "search": ["search=greedy"]}
BY_BOTH = {"says": "A paper found the first better", "better": "LSTM", "worse": "GRU"}
BY_OTHER = {"says": "Another found the second better", "better": "GRU", "worse": "LSTM"}
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
    """Cache parsed configurations (0.1 s each) and draw no pictures."""
    folder = tmp_path_factory.getbasetemp()
    read = lambda run: read_config(run.config_path.read_text(encoding="utf-8"), folder)  # noqa: E731
    monkeypatch.setattr(RunDirectory, "config", read)
    monkeypatch.setattr(questions, "draw_question", lambda parts, picture: None)


@cache
def origin() -> dict[str, Any]:
    return provenance([]) | {"threads": 1, "cores": 2}


def moved(line: str) -> str:
    """Move the first word to the end."""
    first, *others = line.split()
    return " ".join([*others, first])


def translations(run: RunDirectory, config: Config, split: str = "test") -> list[str]:
    """Return the references with errors in two of three lines for a GRU, in one of nine otherwise, by the seed."""
    wrong: Callable[[int], bool] = (lambda i: i % 3 > 0) if config.model.cell == "gru" else (lambda i: i % 9 == 0)
    return [moved(line) if wrong(i + config.seed) else line for i, line in enumerate(run.text(split)[1])]


def write_question(folder: Path, name: str, *rows: dict[str, Any], **changes: Any) -> None:
    """Write a question with one part."""
    part = {"name": "Words", "overrides": BASE, "minutes": 2, "rows": list(rows)}
    part |= {key: changes.pop(key) for key in list(changes) if key in ("by_length", "literature", "claim")}
    content = {"title": f"About {name}", "question": "Which?", "seeds": [1, 2], "parts": [part], **changes}
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(json.dumps(content), encoding="utf-8")


def given_by(words: Sequence[str]) -> dict[str, str]:
    """Parse the overrides of a command line with Hydra."""
    overrides = OverridesParser.create().parse_overrides(list(words))
    return {override.key_or_group: str(override.value()) for override in overrides}


class Trainer:
    """Fake of `run_jobs` that creates the runs of the commands without training; jobs in `failing` fail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[str] = []
        self.failing: list[str] = []

    def __call__(self, jobs: Sequence[Job], at_once: int, logs: Path, ended: Callable[[Job], None] = print) -> Any:
        for job in jobs:
            if job.name in self.failing:
                continue
            self.made.append(job.name)
            args = given_by(job.command[3:])
            if job.command[2] == "nmt.cli.evaluate":
                search = [word for word in job.command[3:] if word.startswith("search")]
                self.translate(RunDirectory.open(args["run"]), args["split"], args["name"], search)
            else:
                self.train(RunDirectory(Path(args["hydra.run.dir"])), int(args["seed"]))
            ended(job)
        return dict.fromkeys(self.failing, "out of memory")

    def translate(self, run: RunDirectory, split: str, name: str, words: list[str]) -> None:
        """Write translations: the references for another search, `translations` for the run's own search."""
        _, search = with_search(EvaluateConfig, compose("evaluate", ["run=any", *words]), run.config().search)
        config = run.config()
        lines = run.text(split)[1] if words else translations(run, config, split)
        write_scores(run, lines, config.seed, split=split, name=name, search=asdict(search))

    def train(self, run: RunDirectory, seed: int) -> None:
        """Create a finished run with scores."""
        (config,) = (training.config for training in trainings(self.folder) if run.path.name == training.key)
        assert config.seed == seed
        run.create(config, prepare(config.data))
        run.add_start(origin())
        run.add_facts(parameters=1_000_000, seconds=60.0 * seed, peak_memory_bytes=2**30)
        run.finish()
        write_scores(run, translations(run, config), config.seed)


def trainings(folder: Path) -> list[Training]:
    """Return the trainings that the questions of a folder need."""
    loaded = [load_config(Question, path) for path in sorted((folder / "asked").glob("*.yaml"))]
    return trainings_of(table for question in loaded for table in tables_of(question, "a file"))


@pytest.fixture(name="trainer")
def make_trainer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Trainer:
    made = Trainer(tmp_path)
    monkeypatch.setattr(questions, "run_jobs", made)
    return made


def ask(folder: Path, **settings: Any) -> str:
    """Run the command and return the page, or an empty string without one."""
    places = {"folder": str(folder / "asked"), "runs": str(folder / "runs"), "page": str(folder / "docs" / "page.md")}
    questions.command(OmegaConf.structured(QuestionsConfig(**places, **settings)))
    page = folder / "docs" / "page.md"
    return page.read_text(encoding="utf-8") if page.is_file() else ""


def line_of(page: str, label: str) -> list[str]:
    """Return the cells of the row with a label."""
    (line,) = (line for line in page.split("\n") if line.startswith(f"| {label} |") and line.count("|") == 10)
    return [cell.strip() for cell in line.strip("|").split("|")]
