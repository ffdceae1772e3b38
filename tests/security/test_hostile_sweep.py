"""Sweeps, reports and tracking with malicious folders."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hostile_run import payload

from nmt.config import Config, SweepCommandConfig, TrackingConfig, TrackingMode
from nmt.errors import UserError
from nmt.evaluation.plots import draw_learning_curves
from nmt.lab.report.facts import RunFacts, add_corpus
from nmt.lab.report.recorded import EvaluationRecord
from nmt.lab.sweep.trials import SweepDirectory, Trial, TrialState
from nmt.run import RunDirectory, read_metrics
from nmt.training import Tracker

GROUPS = {"model": "lstm", "experiment": "null"}


@pytest.fixture
def sweep(tmp_path: Path) -> SweepDirectory:
    sweep = SweepDirectory(tmp_path / "sweep")
    sweep.begin(SweepCommandConfig(), GROUPS)
    sweep.write(Trial(1, {"seed": 2}, TrialState.complete, [(5, 1.0)], 1.0))
    return sweep


def test_an_honest_sweep_is_read(sweep: SweepDirectory) -> None:
    assert SweepDirectory.open(str(sweep.path)).trials() == [
        Trial(1, {"seed": 2}, TrialState.complete, [(5, 1.0)], 1.0)
    ]
    assert sweep.groups() == GROUPS


@pytest.mark.parametrize("name", ["trials/002", "trials/001/checkpoints", "experiment", "report.md", "sweep.log"])
def test_a_link_out_of_a_sweep_is_refused(sweep: SweepDirectory, name: str) -> None:
    """Checkpoints of finished trials are deleted, which must not follow links."""
    outside = sweep.path.parent / "outside"
    (outside / "checkpoints").mkdir(parents=True)
    (sweep.path / name).symlink_to(outside)
    with pytest.raises(UserError, match="points out"):
        SweepDirectory.open(str(sweep.path))
    with pytest.raises(UserError, match="points out"):
        sweep.begin(SweepCommandConfig(), GROUPS)
    assert list(outside.iterdir()) == [outside / "checkpoints"]


@pytest.mark.parametrize(
    "change",
    [
        {"number": 2},
        {"number": "../../x"},
        {"number": True},
        {"parameters": [1]},
        {"parameters": {"seed": {"_target_": "os.mkdir"}}},
        {"state": "complete", "score": None},
        {"score": "1e3"},
        {"scores": [[1e999, 1]]},
        {"seconds": 10**400},
        {"reason": ["x"]},
        {"notes": 7},
        {"_target_": "os.mkdir"},
    ],
    ids=range(12),
)
def test_a_trial_of_other_types_is_refused(sweep: SweepDirectory, change: dict[str, Any]) -> None:
    path = sweep.run_path(1) / "trial.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=r"trial\.json is damaged"):
        sweep.trials()


@pytest.mark.parametrize("name", ["config.yaml", "groups.json", "trials/001/trial.json"])
def test_a_pickle_in_a_sweep_is_not_unpickled(sweep: SweepDirectory, name: str, tmp_path: Path) -> None:
    (sweep.path / name).write_bytes(payload(tmp_path / "made"))
    with pytest.raises(UserError):
        sweep.config(), sweep.groups(), sweep.trials()
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["../../theirs", "a,b", "${oc.env:HOME}", "lstm\n", 7, None])
def test_a_group_is_the_name_of_a_file(sweep: SweepDirectory, name: object) -> None:
    sweep.groups_path.write_text(json.dumps(GROUPS | {"model": name}))
    with pytest.raises(UserError, match=r"groups\.json is damaged"):
        sweep.groups()


def test_metrics_of_other_types_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    good = {"step": 3, "valid/bleu": 2.5}
    lines = [{"step": "1"}, {"step": True}, {"step": 10**400}, [good], good | {"x": [1], "y": None}, {"valid/bleu": 1}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "[" * 100_000 + '\n{"step": 9')
    assert read_metrics(path) == [good]
    draw_learning_curves(path, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").exists()


@pytest.mark.parametrize(
    "report",
    [
        {"examples": {"length": [{"line": 1}]}},
        {"read": [1]},
        {"dropped": {"x": "y"}},
        {"mean_words": {"src": "{0.__class__}", "tgt": 1}},
        {"held_out": 7},
    ],
    ids=range(5),
)
def test_a_report_of_other_types_is_missing(tmp_path: Path, report: dict[str, Any]) -> None:
    means = {"src": 1.0, "tgt": 2.0}
    whole = {
        "read": 2,
        "kept": 1,
        "dropped": {"length": 1},
        "over_max_pieces": 0,
        "altered": 0,
        "held_out": {"test": 1},
    }
    whole |= {
        "mean_words": means,
        "mean_characters": means,
        "examples": {"length": [{"line": 1, "src": "a", "tgt": "b"}]},
    }
    (tmp_path / "data").mkdir()
    for content, missing in ((whole, 0), (whole | report, 1)):
        (tmp_path / "data" / "report.json").write_text(json.dumps(content))
        facts = RunFacts("name", "path", "pair", "test", Config(), "", [], "")
        add_corpus(facts, RunDirectory(tmp_path))
        assert (len(facts.missing), bool(facts.dropped)) == (missing, not missing)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"made_by": {"search": 7}}', b"\xff", b"null", b"9" * 9999])
def test_damaged_scores_are_no_record(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "test.json").write_bytes(content)
    assert EvaluationRecord.read(tmp_path / "test.json") is None


@pytest.mark.parametrize("name", ["../../theirs", "/tmp/x", "a\nb", "x" * 65, ""])
def test_an_identity_of_wandb_must_not_be_a_path(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """wandb uses the identity as the name of a folder."""
    monkeypatch.setattr("wandb.init", lambda **settings: pytest.fail("it was used"))
    (tmp_path / "wandb_id").write_text(name)
    Tracker(tmp_path, TrackingConfig(mode=TrackingMode.offline), asdict(Config())).close()
    assert "does not hold an identity" in caplog.text
