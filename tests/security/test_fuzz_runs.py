"""Fuzz tests of runs with random damage and valid checksums: the run works or a `UserError` is raised."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import hostile_run
import pytest
import tiny_training
from fuzzing import JSON, fuzzed, mutated, or_refused, replaced
from hypothesis import given
from hypothesis import strategies as st
from scored_run import scored_run, settings

from nmt.cli.sweep import settings as settings_of
from nmt.config import Metric
from nmt.lab.comparison.systems import gather
from nmt.lab.report.facts import RunFacts, add_corpus, add_cost, add_progress, add_record
from nmt.lab.sweep.trials import Trial, TrialState, best_trial, read_trial
from nmt.metrics import Scorer
from nmt.run import RunDirectory, load_checkpoint
from nmt.training import Trainer

LINK = "last"
METRICS = b'{"step": 1, "train/tokens_per_second": 5.0, "valid/seconds": 1.5}'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trial")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    tiny_training.build(folder).train()
    return folder


@pytest.fixture(scope="module")
def continued(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    """Run shared by all examples, which shows that a refused run does not affect the next one."""
    return tiny_training.build(tmp_path_factory.mktemp("again"))


@fuzzed
@given(st.data())
def test_a_damaged_checkpoint_is_refused_or_whole(trained: Path, continued: Trainer, data: st.DataObject) -> None:
    folder = trained / "checkpoints" / LINK
    name = data.draw(st.sampled_from(hostile_run.FILES))
    whole, manifest = (folder / name).read_bytes(), (folder / "manifest.json").read_bytes()
    if name.endswith(".json") and data.draw(st.booleans()):
        changed = json.dumps(replaced(json.loads(whole), data.draw(st.integers(0, 300)), data.draw(JSON))).encode()
    else:
        changed = data.draw(mutated(whole[: len(whole) // 2]).map(lambda start: start + whole[len(whole) // 2 :]))
    try:
        (folder / name).write_bytes(changed)
        hostile_run.forge_checkpoint(folder)
        with or_refused("checkpoints", "weights"):
            continued.load_checkpoint(load_checkpoint(trained / "checkpoints", LINK))
            continued.batches.next()
    finally:
        (folder / name).write_bytes(whole)
        (folder / "manifest.json").write_bytes(manifest)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunDirectory]:
    """Evaluated run whose configuration is read once, which takes most of the time and is tested elsewhere."""
    folder = tmp_path_factory.mktemp("scored")
    run = scored_run(folder / "run", settings(folder / "cache"), lambda at: at % 3 == 0)
    config = run.config()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunDirectory, "config", lambda self: config)
        yield run


def damaged(data: st.DataObject, whole: bytes) -> bytes:
    """Return JSON with one node replaced, or with changed bytes."""
    if data.draw(st.booleans()):
        return json.dumps(replaced(json.loads(whole), data.draw(st.integers(0, 300)), data.draw(JSON))).encode()
    return data.draw(mutated(whole))


@fuzzed
@given(st.data())
def test_damaged_scores_are_refused_or_read(scored: RunDirectory, data: st.DataObject) -> None:
    path, report, metrics = (
        scored.path / "scores" / "test.json",
        scored.path / "data" / "report.json",
        scored.metrics_path,
    )
    whole, whole_report = path.read_bytes(), report.read_bytes()
    try:
        path.write_bytes(damaged(data, whole))
        metrics.write_bytes(damaged(data, METRICS) if data.draw(st.booleans()) else METRICS)
        with or_refused(str(scored.path)):
            for score in gather([str(scored.path)], "test")[0][0].runs[0].scores.values():
                Scorer.from_signature(score["signature"])
        report.write_bytes(damaged(data, whole_report))
        facts = RunFacts("name", "path", "pair", "test", scored.config(), "", [], "")
        with or_refused(str(scored.path)):
            add_corpus(facts, scored)
            add_record(facts, scored, path)
            add_progress(facts, scored)
            add_cost(facts, scored, None)
            assert all(isinstance(text, str) for fact in [*facts.corpus, *facts.progress, *facts.cost] for text in fact)
    finally:
        path.write_bytes(whole)
        report.write_bytes(whole_report)
        metrics.unlink(missing_ok=True)


@fuzzed
@given(st.data())
def test_a_damaged_trial_is_refused_or_read(folder: Path, data: st.DataObject) -> None:
    trial = Trial(
        7, {"optim.learning_rate": 0.1, "model.encoder.cell": "gru"}, TrialState.complete, [(5, 1.5)], 1.5, 2.0
    )
    path = folder / "007" / "trial.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(damaged(data, json.dumps(asdict(trial)).encode()))
    with or_refused("trial.json"):
        read = read_trial(path)
        assert read.number == 7
        assert best_trial([read], Metric.bleu) in (None, read)
        settings_of(read.parameters)
