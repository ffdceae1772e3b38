"""Questions whose trainings take no time: what a command for one would leave is made up."""

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
from nmt.cli.launch.local_jobs import LocalJob
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
    """A configuration is read once, which takes a tenth of a second; a picture is drawn where a test looks at it."""
    folder = tmp_path_factory.getbasetemp()
    read = lambda run: read_config(run.config_path.read_text(encoding="utf-8"), folder)  # noqa: E731
    monkeypatch.setattr(RunDirectory, "config", read)
    monkeypatch.setattr(questions, "draw_question", lambda parts, picture: None)


@cache
def origin() -> dict[str, Any]:
    return provenance([]) | {"threads": 1, "cores": 2}


def moved(line: str) -> str:
    first, *others = line.split()
    return " ".join([*others, first])


def translations(run: RunDirectory, config: Config, split: str = "test") -> list[str]:
    """The references, of which a GRU gets two in three wrong, and other seeds other ones."""
    wrong: Callable[[int], bool] = (lambda at: at % 3 > 0) if config.model.cell == "gru" else (lambda at: at % 9 == 0)
    return [moved(line) if wrong(at + config.seed) else line for at, line in enumerate(run.text(split)[1])]


def write_question(folder: Path, name: str, *rows: dict[str, Any], **changes: Any) -> None:
    part = {"name": "Words", "overrides": BASE, "minutes": 2, "rows": list(rows)}
    part |= {key: changes.pop(key) for key in list(changes) if key in ("by_length", "literature", "claim")}
    content = {"title": f"About {name}", "question": "Which?", "seeds": [1, 2], "parts": [part], **changes}
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(json.dumps(content), encoding="utf-8")


def given_by(words: Sequence[str]) -> dict[str, str]:
    """What hydra makes of the words of a command line."""
    found = OverridesParser.create().parse_overrides(list(words))
    return {each.key_or_group: str(each.value()) for each in found}


class Trainer:
    """Makes the runs that commands ask for, without training, unless their name is among the `failing`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[str] = []
        self.failing: list[str] = []

    def __call__(
        self, jobs: Sequence[LocalJob], at_once: int, logs: Path, ended: Callable[[LocalJob], None] = print
    ) -> Any:
        for job in jobs:
            if job.name in self.failing:
                continue
            self.made.append(job.name)
            given = given_by(job.command[3:])
            if job.command[2] == "nmt.cli.evaluate":
                search = [word for word in job.command[3:] if word.startswith("search")]
                self.translate(RunDirectory.open(given["run"]), given["split"], given["name"], search)
            else:
                self.train(RunDirectory(Path(given["hydra.run.dir"])), int(given["seed"]))
            ended(job)
        return dict.fromkeys(self.failing, "out of memory")

    def translate(self, run: RunDirectory, split: str, name: str, words: list[str]) -> None:
        """Without a mistake by another search, as ever by the run's own."""
        _, search = with_search(EvaluateConfig, compose("evaluate", ["run=any", *words]), run.config().search)
        config = run.config()
        lines = run.text(split)[1] if words else translations(run, config, split)
        write_scores(run, lines, config.seed, split=split, name=name, search=asdict(search))

    def train(self, run: RunDirectory, seed: int) -> None:
        (config,) = (each.config for each in trainings(self.folder) if run.path.name == each.key)
        assert config.seed == seed
        run.create(config, prepare(config.data))
        run.add_start(origin())
        run.add_facts(parameters=1_000_000, seconds=60.0 * seed, peak_memory_bytes=2**30)
        run.finish()
        write_scores(run, translations(run, config), config.seed)


def trainings(folder: Path) -> list[Training]:
    found = [load_config(Question, path) for path in sorted((folder / "asked").glob("*.yaml"))]
    return trainings_of(table for question in found for table in tables_of(question, "a file"))


@pytest.fixture(name="trainer")
def make_trainer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Trainer:
    made = Trainer(tmp_path)
    monkeypatch.setattr(questions, "run_jobs", made)
    return made


def ask(folder: Path, **settings: Any) -> str:
    """Runs the command, and returns the page, if there is one."""
    places = {"folder": str(folder / "asked"), "runs": str(folder / "runs"), "page": str(folder / "docs" / "page.md")}
    questions.command(OmegaConf.structured(QuestionsConfig(**places, **settings)))
    page = folder / "docs" / "page.md"
    return page.read_text(encoding="utf-8") if page.is_file() else ""


def line_of(page: str, label: str) -> list[str]:
    (line,) = (line for line in page.split("\n") if line.startswith(f"| {label} |") and line.count("|") == 10)
    return [cell.strip() for cell in line.strip("|").split("|")]
