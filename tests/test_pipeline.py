"""Training pipeline without Hydra: one preparation per start, the choice of the run to train, and workers."""

import json
import logging
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from shapes import model_config

from nmt.config import (
    Config,
    DataConfig,
    PhrasebookConfig,
    Precision,
    TextFiles,
    TokenizerConfig,
    TrackingConfig,
    TrackingMode,
    TrainConfig,
    from_hydra,
)
from nmt.data import Prepared, write_lines
from nmt.errors import UserError
from nmt.phrasebook import stream
from nmt.pipeline import (
    create_run,
    plain_dict,
    reopen_run,
    resolve_run,
    train,
    train_worker,
    worker_assignment,
)
from nmt.run import RunDirectory, prepare_corpus
from nmt.run_corpus import write_corpus
from nmt.runtime import Runtime
from nmt.training import SINGLE_PROCESS

RUNTIME = Runtime(torch.device("cpu"), bfloat16=False, translate_in=Precision.float32, keeps_memory=False)


def config(folder: Path, max_steps: int = 2) -> Config:
    return Config(
        data=DataConfig(
            phrasebook=PhrasebookConfig(train=150, valid=4, test=6),
            tokenizer=TokenizerConfig(vocab_size=150),
            cache=str(folder / "cache"),
        ),
        model=model_config(embed_size=8, hidden_size=8),
        train=TrainConfig(batch_size=8, max_steps=max_steps, validate_every=2),
        tracking=TrackingConfig(mode=TrackingMode.disabled),
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Return a run that was created and trained."""
    folder = tmp_path_factory.mktemp("pipeline")
    run, settings = RunDirectory(folder / "run"), config(folder)
    scores = train(settings, run, RUNTIME, create_run(run, settings))
    assert "bleu" in scores
    assert run.finished
    return run


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return the folders of the prepared corpora whose files were hashed, in order."""
    folders: list[Path] = []
    check = Prepared.check

    def recorded(prepared: Prepared) -> None:
        folders.append(prepared.folder)
        check(prepared)

    monkeypatch.setattr(Prepared, "check", recorded)
    return folders


def test_a_new_run_prepares_its_corpus_once(tmp_path: Path, checks: list[Path]) -> None:
    run, settings = RunDirectory(tmp_path / "run"), config(tmp_path)
    train(settings, run, RUNTIME, create_run(run, settings))
    assert len(checks) == 1


def test_a_continued_run_prepares_its_corpus_once(trained: RunDirectory, checks: list[Path]) -> None:
    settings = replace(trained.config(), train=replace(trained.config().train, max_steps=4))
    assert train(settings, trained, RUNTIME)
    assert len(checks) == 1
    assert [line["step"] for line in trained.metrics() if "valid/bleu" in line] == [2, 4]


def from_files(folder: Path) -> Config:
    """Return a configuration whose corpus is files in the folder, which are written."""
    for name, number in (("train", 150), ("valid", 4), ("test", 6)):
        pairs = list(islice(stream(len(name), 0), number))
        for side in ("en", "de"):
            write_lines(folder / f"{name}.{side}", [getattr(pair, side) for pair in pairs])
    settings = config(folder)
    files = {name: TextFiles(src=[f"{name}.en"], tgt=[f"{name}.de"]) for name in ("train", "valid", "test")}
    return replace(settings, data=replace(settings.data, phrasebook=None, root=str(folder), **files))


def test_the_corpus_of_a_run_is_written_cleaned(tmp_path: Path) -> None:
    """A test pair among the training pairs is left out, as in training, so that no student translates it."""
    settings = from_files(tmp_path)
    for side in ("en", "de"):
        lines = [(tmp_path / f"{split}.{side}").read_text().splitlines() for split in ("train", "test")]
        write_lines(
            tmp_path / f"train.{side}", [*lines[0], lines[1][2], "  the  last one" if side == "en" else "letzte"]
        )
    run = RunDirectory(tmp_path / "run")
    prepared = create_run(run, settings)
    write_corpus(run, settings.data, tmp_path / "copy", targets="reference")
    pairs = [(tmp_path / "copy" / name).read_text().splitlines() for name in ("train.en", "reference.de")]
    assert len(pairs[0]) == len(pairs[1]) == len(prepared.store("train"))
    assert (pairs[0][-1], pairs[1][-1]) == ("the last one", "letzte")
    assert not set(zip(*pairs, strict=True)) & set(zip(*run.text("test"), strict=True))


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_run_whose_corpus_has_changed_is_not_continued(tmp_path: Path, split: str) -> None:
    settings, run = from_files(tmp_path), RunDirectory(tmp_path / "run")
    create_run(run, settings)
    assert prepare_corpus(settings, run).folder.is_dir()
    for side in ("en", "de"):
        lines = (tmp_path / f"{split}.{side}").read_text().splitlines()
        write_lines(tmp_path / f"{split}.{side}", [*lines[1:], "The house ."])
    with pytest.raises(UserError, match="is not the one that the run was made with: its files"):
        train(settings, run, RUNTIME)


def test_a_run_that_another_process_has_created_is_kept(tmp_path: Path) -> None:
    run, settings = RunDirectory(tmp_path / "run"), config(tmp_path)
    prepared = create_run(run, settings)
    before = run.record()
    with pytest.raises(UserError, match="run was created by another process; choose another folder"):
        run.create(replace(settings, seed=2), prepared)
    assert (run.record(), run.config()) == (before, settings)


def test_files_of_an_attempt_that_was_killed_are_not_part_of_the_run(tmp_path: Path) -> None:
    left = tmp_path / "run" / "tokenizer" / "src.form.json"
    left.parent.mkdir(parents=True)
    left.write_text("{}")
    run = RunDirectory(tmp_path / "run")
    create_run(run, config(tmp_path))
    assert not left.exists()
    assert "tokenizer/src.model" in run.record()["sha256"]


def test_a_new_folder_is_a_new_run(tmp_path: Path) -> None:
    settings = config(tmp_path)
    for resume in (False, True):
        actual, run = resolve_run(settings, tmp_path / "run", resume)
        assert (actual, run.path, run.exists) == (settings, tmp_path / "run", False)


def test_a_folder_with_a_run_is_used_only_to_continue_it(trained: RunDirectory) -> None:
    settings = trained.config()
    with pytest.raises(UserError, match=r"holds a run; add train\.resume=auto"):
        resolve_run(settings, trained.path)
    assert resolve_run(settings, trained.path, resume=True)[1].path == trained.path
    with pytest.raises(UserError, match="another data, model or seed configuration"):
        resolve_run(replace(settings, seed=settings.seed + 1), trained.path, resume=True)


def test_a_folder_with_other_files_of_a_training_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(UserError, match="choose another folder"):
        resolve_run(config(tmp_path), tmp_path)


def test_an_unfinished_run_of_the_same_configuration_is_continued(tmp_path: Path) -> None:
    run, settings = RunDirectory(tmp_path / "one"), config(tmp_path)
    create_run(run, settings)
    siblings = [run.record_path]
    assert resolve_run(settings, tmp_path / "two", resume=True, siblings=siblings)[1].path == run.path
    other = replace(settings, seed=settings.seed + 1)
    assert resolve_run(other, tmp_path / "two", resume=True, siblings=siblings)[1].path == tmp_path / "two"


def test_a_named_run_keeps_its_configuration_except_for_given_values(
    trained: RunDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    reopened, run = reopen_run(str(trained.path), {"train.max_steps": 9}, ["model=lstm"])
    assert (run.path, reopened.train.max_steps) == (trained.path, 9)
    assert reopened.model == trained.config().model
    assert "model=lstm has no effect" in caplog.text
    with pytest.raises(UserError, match="another data, model or seed configuration"):
        reopen_run(str(trained.path), {"seed": 99})


def test_workers_get_the_configuration_as_json(tmp_path: Path) -> None:
    settings = config(tmp_path)
    assignment = json.loads(json.dumps(worker_assignment(settings, RunDirectory(tmp_path))))
    assert from_hydra(Config, assignment["config"]) == settings
    assert plain_dict(settings)["tracking"]["mode"] == "disabled"


def test_a_worker_without_work_ends(tmp_path: Path) -> None:
    level = logging.getLogger("nmt").level
    train_worker(worker_assignment(None, RunDirectory(tmp_path)), SINGLE_PROCESS)
    assert logging.getLogger("nmt").level == level
