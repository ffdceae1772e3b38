"""Tests of the entry of the commands: errors, multiruns and streams, with the work of the command replaced."""

import errno
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra._internal.hydra
import hydra.core.override_parser.overrides_parser
import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.streams import OUTPUT
from nmt.config import Config, from_hydra
from nmt.errors import Interrupted, UserError


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    for owner, name in (
        (hydra._internal.hydra, "ConfigLoaderImpl"),
        (hydra.core.override_parser.overrides_parser, "HydraOverrideVisitor"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # restored after the test
    root = logging.getLogger()
    handlers, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:], logging.raiseExceptions = handlers, raising
    root.setLevel(level)


def run(monkeypatch: pytest.MonkeyPatch, work: Callable[[DictConfig], None], *words: str) -> Any:
    """Run the train command, and return its exit code; None if it does not exit."""
    monkeypatch.setattr(sys, "argv", ["train.py", *words])
    try:
        app.run("train", work)
    except SystemExit as end:
        return end.code
    return None


def test_one_failing_job_does_not_end_a_multirun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = []

    def work(cfg: DictConfig) -> None:
        if cfg.seed == 2:
            raise UserError("no such corpus; give another")
        if cfg.seed == 3:
            raise ZeroDivisionError("a bug")
        trained.append((HydraConfig.get().job.num, cfg.seed))

    assert run(monkeypatch, work, "seed=1,2,3,4", "-m", "model=lstm_tiny") == 1  # one of them is a bug
    assert trained == [(0, 1), (3, 4)]
    lines = capsys.readouterr().err.strip().split("\n")
    assert lines[-1] == (
        "nmt: 2 of 4 jobs failed: job 1 (seed=2 model=lstm_tiny): no such corpus; give another; "
        "job 2 (seed=3 model=lstm_tiny): ZeroDivisionError: a bug"
    )
    assert any("job 1 (seed=2 model=lstm_tiny): no such corpus" in line for line in lines[:-1])
    assert any("Traceback" in line for line in lines)


def test_users_mistakes_in_a_multirun_end_with_2_and_name_a_checked_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = []

    def work(cfg: DictConfig) -> None:
        trained.append(from_hydra(Config, cfg).model.dropout)

    assert run(monkeypatch, work, "-m", "model.dropout=7,0.5") == 2
    assert trained == [0.5]
    assert "1 of 2 jobs failed: job 0 (model.dropout=7)" in capsys.readouterr().err
    assert run(monkeypatch, work, "-m", "model.dropout=0.1,0.2") is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Interrupted(15), 143),
        (KeyboardInterrupt(), 130),
        (OSError(28, "No space left on device", OUTPUT), 2),
        (BrokenPipeError(32, "Broken pipe", OUTPUT), 1),
    ],
)
def test_what_concerns_all_jobs_ends_a_multirun(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = []

    def work(cfg: DictConfig) -> None:
        begun.append(cfg.seed)
        raise error

    monkeypatch.setattr(app, "drop_output", lambda: None)
    assert run(monkeypatch, work, "-m", "seed=1,2") == code
    assert begun == [1]
    message = capsys.readouterr().err.strip()
    assert "Traceback" not in message
    assert message.count("\n") == 0
    assert "None" not in message


def test_a_full_disk_behind_standard_output_is_one_line_of_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Full(io.StringIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device", OUTPUT)

    monkeypatch.setattr(sys, "stdout", Full())
    assert run(monkeypatch, lambda cfg: print("result")) == 2
    assert capsys.readouterr().err == (
        "nmt: standard output: No space left on device; redirect it to a file that can be written\n"
    )


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.ENOSPC, "free space on its disk"), (errno.EDQUOT, "free space"), (errno.EACCES, "its permissions")],
)
def test_the_remedy_for_a_file_depends_on_the_error(
    number: int, remedy: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(cfg: DictConfig) -> None:
        raise OSError(number, os.strerror(number), "translations.part")

    assert run(monkeypatch, work) == 2
    (line,) = capsys.readouterr().err.strip().split("\n")
    assert line.startswith(f"nmt: translations.part: {os.strerror(number)}; ")
    assert remedy in line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "train: {src: file, tgt: file}\n",
            "key data.train.src takes a list (in the file data/mine.yaml); write [VALUE]",
        ),
        (
            "max_pieces: many\n",
            "key data.max_pieces (in the file data/mine.yaml): Value 'many' of type 'str' could not",
        ),
        ("max_piece: 3\n", "unknown configuration key data.max_piece; did you mean data.max_pieces?"),
    ],
)
def test_a_mistake_in_a_file_names_key_and_file(
    content: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "conf" / "data").mkdir(parents=True)
    (tmp_path / "conf" / "data" / "mine.yaml").write_text(content)
    assert run(monkeypatch, lambda cfg: None, "data=mine", f"--config-dir={tmp_path / 'conf'}") == 2
    (line,) = capsys.readouterr().err.strip().split("\n")
    assert said in line


def test_text_on_the_command_line_reaches_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def work(cfg: DictConfig) -> None:
        values = app.value_overrides()
        found.append((cfg.data.name, HydraConfig.get().run.dir, values["data.name"], values["train.max_steps"]))

    assert (
        run(monkeypatch, work, "data.name=1.20", "model=lstm_tiny", "hydra.run.dir=2026_11", "train.max_steps=7")
        is None
    )
    assert found == [("1.20", "2026_11", "1.20", 7)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("data.name=Köln (alt)",), """quote this value: 'data.name="Köln (alt)"'"""),
        (("data.name=a=b",), """quote this value: 'data.name="a=b"'"""),
        (("data.root=a#b",), """quote this value: 'data.root="a#b"'"""),
        (("data=files", "data.train.src=[門.en,b]"), """quote this value: 'data.train.src=["門.en","b"]'"""),
        (("data=files", "data.train.src=file"), "data.train.src takes a list; write [VALUE]"),
        (("data=files", "data.train={src:file,tgt:file}"), "data.train.src takes a list; write [VALUE]"),
        (("data.name=[a,b]",), "data.name takes one value, not a list; run the command once per value"),
        (("seed=1", "--unknown"), "unrecognized arguments: --unknown"),
    ],
)
def test_a_mistake_on_the_command_line_says_what_to_type(
    words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, lambda cfg: None, *words) == 2
    (line,) = capsys.readouterr().err.strip().split("\n")
    assert line.startswith("nmt: ")
    assert said in line
