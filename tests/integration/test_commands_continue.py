"""Integration tests of continuing finished and stopped runs, and of scores that cannot be written.

The commands run in this process, which spares the start of each.
"""

import importlib
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra._internal.hydra
import hydra.core.override_parser.overrides_parser
import pytest
from command import ROOT, SMALL, assert_same_run, steps, weights

from nmt.cli import evaluate, train, translate
from nmt.metrics import check_tokenizer
from nmt.run import RunDirectory

pytestmark = pytest.mark.commands

COMMANDS = {"train": train.main, "evaluate": evaluate.main, "translate": translate.main}
CONSTANT = (*SMALL, "optim.schedule=constant")


class Here:
    """Runner of commands in this process."""

    def __init__(self, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.patch = patch
        self.capsys = capsys

    def call(self, name: str, *words: str, code: int = 0) -> tuple[str, str]:
        """Run a command, check its exit code, and return its standard output and error."""
        self.patch.setattr(sys, "argv", [f"{name}.py", *words])
        found: Any = 0
        try:
            COMMANDS[name]()
        except SystemExit as end:
            found = end.code
        output, error = self.capsys.readouterr()
        assert found == code, error
        return output, error

    def refused(self, name: str, *words: str) -> str:
        output, error = self.call(name, *words, code=2)
        assert output == ""
        lines = [line for line in error.split("\n") if line.startswith("nmt: ")]
        assert len(lines) == 1
        assert "Traceback" not in error
        return lines[0]


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """Restore the state of the process after the test."""
    root = logging.getLogger()
    handlers, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setenv("HYDRA_FULL_ERROR", "1")
        for owner, name in (
            (hydra._internal.hydra, "ConfigLoaderImpl"),
            (hydra.core.override_parser.overrides_parser, "HydraOverrideVisitor"),
        ):
            patch.setattr(owner, name, getattr(owner, name))
        yield Here(patch, capsys)
    root.handlers[:], logging.raiseExceptions = handlers, raising
    root.setLevel(level)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a run of ten steps to its end."""
    run = tmp_path_factory.mktemp("trained") / "run"
    words = [*CONSTANT, "train.max_steps=10", f"hydra.run.dir={run}"]
    subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "train.py"), *words],
        cwd=run.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        timeout=300,
    )
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of the finished run."""
    shutil.copytree(trained, tmp_path / "run", symlinks=True)
    return tmp_path / "run"


def first_command(run: Path) -> tuple[str, ...]:
    return (*CONSTANT, "train.max_steps=10", "train.resume=auto", f"hydra.run.dir={run}")


def contents(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_more_steps_continue_a_finished_run_to_the_bits_of_a_longer_one(here: Here, run: Path, tmp_path: Path) -> None:
    _, error = here.call("train", f"train.resume={run}", "train.max_steps=20")
    assert "continues from step 10 to 20" in error
    assert "optim.schedule=constant" in error
    here.call("train", *CONSTANT, "train.max_steps=20", "hydra.run.dir=longer")
    assert_same_run(run, tmp_path / "longer")
    assert RunDirectory(run).finished
    assert RunDirectory(run).config().train.max_steps == 20
    before = contents(run)
    for words in ((f"train.resume={run}",), first_command(run)):
        assert "finished; nothing to do" in here.call("train", *words)[1]
    assert contents(run) == before


def test_more_steps_by_the_same_command_with_auto(here: Here, run: Path) -> None:
    words = [*CONSTANT, "train.max_steps=15", "train.resume=auto", f"hydra.run.dir={run}"]
    assert "continues from step 10 to 15" in here.call("train", *words)[1]
    assert max(steps(run)) == 15


def test_a_longer_cosine_is_told_with_its_learning_rates(here: Here, run: Path) -> None:
    words = [f"train.resume={run}", "train.max_steps=11", "optim.schedule=cosine", "optim.learning_rate=1e-4"]
    _, error = here.call("train", *words)
    line = next(line for line in error.split("\n") if "continues from step 10 to 11" in line)
    assert "(optim.schedule=cosine) was 0.002 at step 10 and is 1e-06 at step 11; it now ends at step 11" in line


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["optim.learning_rate=0.1"], ["optim.learning_rate=0.1"]),
        (["train.patience=3", "train.validate_every=2"], ["train.patience=3", "train.validate_every=2"]),
        (["train.max_steps=7"], ["train.max_steps=7"]),
        (["search.beam_size=2"], ["search.beam_size=2"]),
    ],
)
def test_what_would_have_no_effect_on_a_finished_run_is_refused_by_name(
    here: Here, run: Path, words: list[str], keys: list[str]
) -> None:
    before = contents(run)
    for command in ((f"train.resume={run}",), first_command(run)):
        line = here.refused("train", *command, *words)
        assert all(key in line for key in keys), line
        assert "train.max_steps=N with N above 10" in line
    assert contents(run) == before


def test_a_run_that_patience_ended_goes_on_with_more_patience(here: Here, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train.max_steps=40", "train.validate_every=2", "train.patience=1", "optim.learning_rate=1e-12"]
    here.call("train", *CONSTANT, *words, "train.metric=bleu", f"hydra.run.dir={run}")
    ended = max(steps(run))
    assert ended < 40
    line = here.refused("train", f"train.resume={run}", "train.max_steps=60")
    assert "train.patience=N" in line
    here.call("train", f"train.resume={run}", "train.patience=0", f"train.max_steps={ended + 2}")
    assert max(steps(run)) == ended + 2


def test_what_a_continuation_changed_holds_when_it_is_interrupted(here: Here, run: Path) -> None:
    RunDirectory(run).take_up({"train.max_steps": 15})
    here.call("train", f"train.resume={run}")
    assert max(steps(run)) == 15


def test_going_back_to_a_step(here: Here, run: Path) -> None:
    whole, kept = weights(run), sorted(path.name for path in (run / "checkpoints").glob("step-*"))
    assert kept == ["step-00000005", "step-00000010"]
    line = here.refused("train", f"train.resume={run}", "train.resume_step=7")
    assert "no checkpoint of that step; there are: 5, 10" in line
    assert "continuing at step 5" in here.call("train", f"train.resume={run}", "train.resume_step=5")[1]
    assert weights(run) == whole
    assert max(steps(run)) == 10
    assert RunDirectory(run).finished


def stopped_before_validation(run: Path) -> None:
    """Return the state of a run that stopped at its first checkpoint."""
    (run / "checkpoints" / "best").unlink()


def test_a_run_stopped_before_its_first_validation_is_used_as_it_is(here: Here, run: Path, tmp_path: Path) -> None:
    stopped_before_validation(run)
    _, error = here.call("evaluate", f"run={run}", "name=now")
    assert "stopped before its first validation and has no best checkpoint: last is used" in error
    assert json.loads((run / "scores" / "now.json").read_text())["made_by"]["checkpoint"] == "last"
    (tmp_path / "text").write_text("The tea is hot.\n")
    assert "last is used" in here.call("translate", f"run={run}", "input=text", "output=out")[1]
    tuned = [f"train.init_from={run}", "train.max_steps=1", "hydra.run.dir=tuned"]
    assert "its last checkpoint" in here.call("train", *CONSTANT, *tuned)[1]


def test_a_run_that_cannot_be_written_to_is_told_before_the_work(here: Here, run: Path, tmp_path: Path) -> None:
    shutil.rmtree(run / "scores")
    (run / "scores").write_text("in the way, also for root")
    here.patch.setattr(evaluate, "load_translator", None)  # would fail otherwise than the line below
    line = here.refused("evaluate", f"run={run}")
    assert f"{run / 'scores'} cannot be written" in line
    assert "output=FOLDER" in line
    here.patch.undo()
    here.patch.chdir(tmp_path)
    output, _ = here.call("evaluate", f"run={run}", "output=elsewhere/scores")
    assert "BLEU = " in output
    assert sorted(path.name for path in (tmp_path / "elsewhere" / "scores").iterdir()) == ["test.hyp", "test.json"]
    assert (run / "scores").is_file()


def test_scores_that_cannot_be_kept_are_printed(here: Here, run: Path) -> None:
    (run / "scores" / "own.tmp").mkdir()  # where the record is written first
    output, error = here.call("evaluate", f"run={run}", "name=own", code=2)
    assert "BLEU = " in output
    assert "own.tmp" in error
    assert "Traceback" not in error


def test_a_missing_tokenizer_leaves_nothing_behind(here: Here, run: Path, tmp_path: Path) -> None:
    here.patch.setattr(importlib.import_module("sacrebleu.tokenizers.tokenizer_ja_mecab"), "MeCab", None)
    check_tokenizer.cache_clear()
    words = [*SMALL, "data.bleu_tokenize=ja-mecab", "hydra.run.dir=new", f"data.cache={tmp_path / 'cache'}"]
    for _ in range(2):  # the same command is not blocked by the first
        assert "nmt-recurrent[cjk]" in here.refused("train", *words)
        assert not (tmp_path / "new").exists()
        assert not (tmp_path / "cache").exists()


def in_shell(line: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess:  # type: ignore[type-arg]
    """Run a shell line in which $RUN is the script of a command with its arguments."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHON": sys.executable, "SCRIPTS": str(ROOT / "scripts")}
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"], cwd=cwd, env={**environment, **settings}, capture_output=True
    )


def test_a_training_whose_output_fails_is_finished(run: Path, tmp_path: Path) -> None:
    done = in_shell('"$PYTHON" "$SCRIPTS/train.py" train.resume=run train.max_steps=11 > /dev/full', tmp_path)
    assert done.returncode == 2
    lines = [line for line in done.stderr.decode().split("\n") if not line[:2].isdecimal()]
    assert lines == ["nmt: standard output: No space left on device; redirect it to a file that can be written", ""]
    assert RunDirectory(run).finished
    assert (run / "scores" / "test.json").is_file()


@pytest.mark.parametrize(
    ("shell", "settings", "code", "message"),
    [
        ("<<< 'The tea is hot.'", {"PYTHONIOENCODING": "ascii"}, 0, ""),
        ("<<< 'Straße'", {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, 0, ""),
        ("<<< 'The tea is hot.' > /dev/full", {}, 2, "nmt: standard output: No space left on device"),
        ("<<< 'The tea is hot.' >&-", {}, 2, "nmt: standard output: it is closed"),
        ("<&-", {}, 2, "nmt: standard input: cannot be read (it is closed); give a file or a pipe"),
        ("input=many | head -1", {}, 1, ""),
    ],
)
def test_the_translator_in_pipes(
    run: Path, tmp_path: Path, shell: str, settings: dict[str, str], code: int, message: str
) -> None:
    (tmp_path / "many").write_text("The tea is hot.\n" * 3000)
    command = """"$PYTHON" "$SCRIPTS/translate.py" run=run search=greedy 'prefix="Straße"' """
    done = in_shell(command + shell, tmp_path, **settings)
    assert done.returncode == code, done.stderr
    error = done.stderr.decode()
    assert error.startswith(message) if message else error == ""
    assert error.count("\n") == bool(message)
    assert done.stdout.decode().count("\n") == (1 if code == 0 or "head" in shell else 0)
