"""Training, scoring and comparison from Python."""

import json
from pathlib import Path

import pytest

import nmt
from nmt.config import Config, load_config
from nmt.run import RunDirectory

FAST = ["tracking.mode=disabled", "machine.threads=1"]


def test_a_training_is_a_finished_run_that_records_its_call(run: RunDirectory) -> None:
    assert run.finished
    assert repr(run) == f"RunDirectory('{run.path}')"
    config = load_config(Config, run.config_path)
    assert (config.train.max_steps, config.data.phrasebook and config.data.phrasebook.train) == (20, 500)
    (start,) = run.record()["starts"]
    assert start["command"][:2] == ["nmt.train", "experiment=debug"]
    settings = [word for word in start["command"][1:] if not word.startswith("hydra.")]
    assert start["overrides"] == settings == ["experiment=debug", *FAST]
    assert json.loads((run.path / "scores" / "test.json").read_text(encoding="utf-8"))["bleu"]


def test_a_finished_run_is_returned_without_another_start(run: RunDirectory) -> None:
    again = nmt.train("debug", [*FAST, f"train.resume={run.path}"])
    assert again.path == run.path
    assert len(again.record()["starts"]) == 1


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["train.max_step=3"], "unknown configuration key train.max_step; did you mean train.max_steps?"),
        (["model.dropout=2"], "model.dropout is 2.0; allowed: from 0 to 0.95"),
        (["experiment=nothing"], "there is no configuration file experiment/nothing; there are: "),
        (["seed=1,2"], "seed=1,2"),
        (["--multirun"], "'--multirun' is not an override; write key=value"),
        ("seed=1", "overrides is one text; give a list of texts: ['seed=1']"),
        (["hydra.callbacks={a: 1}"], "hydra.callbacks"),
        (["model.encoder.cell=nothing"], "model.encoder.cell is 'nothing', which is neither built in (lstm, gru"),
    ],
)
def test_a_wrong_override_is_an_error_of_one_line(overrides: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(nmt.errors.UserError) as caught:
        nmt.train(None, overrides)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_directory_in_use_is_refused(run: RunDirectory) -> None:
    with pytest.raises(nmt.errors.UserError, match="holds a run; add train"):
        nmt.train("debug", [*FAST, f"hydra.run.dir={run.path}"])


def test_scores_of_a_split_are_returned_and_written(run: RunDirectory) -> None:
    scores = nmt.evaluate(run, "valid", threads=1, kind="greedy", name="valid_greedy")
    record = json.loads((run.path / "scores" / "valid_greedy.json").read_text(encoding="utf-8"))
    assert {name: score.score for name, score in scores.items()} == {name: record[name]["score"] for name in scores}
    assert record["made_by"]["search"]["kind"] == "greedy"
    lines = (run.path / "scores" / "valid_greedy.hyp").read_text(encoding="utf-8").split("\n")[:-1]
    greedy = nmt.load(run, threads=1).translate(run.text("valid")[0], kind="greedy", alignment=False)
    assert lines == [translation.text for translation in greedy]


def test_evaluating_the_test_set_repeats_the_scores_of_the_training(run: RunDirectory) -> None:
    before = json.loads((run.path / "scores" / "test.json").read_text(encoding="utf-8"))
    scores = nmt.evaluate(str(run.path), threads=1)
    assert {name: score.score for name, score in scores.items()} == {name: before[name]["score"] for name in scores}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"split": "train"}, "split is 'train'; allowed: valid, test"),
        ({"name": "../x"}, "name is '../x'; allowed: letters"),
        ({"beam": 2}, "beam is not a search setting"),
    ],
)
def test_a_wrong_argument_of_evaluate_is_an_error_of_one_line(
    run: RunDirectory, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(nmt.errors.UserError) as caught:
        nmt.evaluate(run, **{"threads": 1, **settings})
    assert said in str(caught.value)


def test_the_scores_of_an_ensemble_need_a_name(run: RunDirectory) -> None:
    with pytest.raises(nmt.errors.UserError, match="an ensemble needs a name"):
        nmt.evaluate([run, run], threads=1)


def test_a_comparison_has_the_recorded_scores(run: RunDirectory) -> None:
    comparison = nmt.compare([run])
    (cell,) = comparison.cells["bleu"]
    record = json.loads((run.path / "scores" / "test.json").read_text(encoding="utf-8"))
    assert cell is not None
    assert cell.mean == pytest.approx(record["bleu"]["score"], abs=1e-4)
    assert f"| BLEU | {run.path.name} | {cell.mean:.2f} |" in comparison.markdown()
    assert comparison._repr_markdown_() == comparison.markdown()
    with pytest.raises(nmt.errors.UserError, match="compare takes a list of runs"):
        nmt.compare(run)  # type: ignore[arg-type]
    with pytest.raises(nmt.errors.UserError, match="no scores of the name dev"):
        nmt.compare([run], "dev")
