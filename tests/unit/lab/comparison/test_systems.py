"""Tests of the systems of a comparison: grouping of runs, labels, costs, and refusals."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scored_run import SENTENCES, scored_run, settings, write_scores
from shapes import model_config

from nmt.config import CellKind, MachineConfig, OptimConfig, PhrasebookConfig, TrainConfig
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet
from nmt.lab.comparison.systems import gather, sha256_of_set
from nmt.run import RunDirectory

LSTM, GRU = (model_config(cell=cell) for cell in (CellKind.lstm, CellKind.gru))
Make = Callable[..., RunDirectory]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def make(tmp_path: Path, cache: Path) -> Make:
    def made(name: str, overrides: tuple[str, ...] = (), made_by: dict[str, Any] | None = None, **changes: Any) -> Any:
        config = settings(cache, **changes)
        return scored_run(tmp_path / name, config, lambda at: at % 3 == 0, overrides, **(made_by or {}))

    return made


def gathered(*runs: RunDirectory | Path) -> list[tuple[str, list[str]]]:
    """Return the label of each system and the names of its runs."""
    systems, _ = gather([str(getattr(run, "path", run)) for run in runs], "test")
    return [(system.label, [run.run.path.name for run in system.runs]) for system in systems]


def refusal(*runs: RunDirectory | Path, metric: str | None = None) -> str:
    with pytest.raises(UserError) as caught:
        gather([str(getattr(run, "path", run)) for run in runs], "test", metric)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_runs_that_differ_by_their_seed_alone_are_one_system(make: Make) -> None:
    runs = [make(f"{model.decoder.cell}{seed}", model=model, seed=seed) for seed in (3, 1) for model in (LSTM, GRU)]
    assert gathered(*runs) == [
        ("model.encoder.cell=lstm, model.decoder.cell=lstm", ["lstm1", "lstm3"]),
        ("model.encoder.cell=gru, model.decoder.cell=gru", ["gru1", "gru3"]),
    ]


def test_paths_and_hardware_do_not_make_another_system(make: Make, tmp_path: Path) -> None:
    one = make("one", seed=1)
    data = replace(one.config().data, cache=str(tmp_path / "another"))
    train = TrainConfig(log_every=3, resume="auto")
    other = make("other", seed=2, data=data, machine=MachineConfig(threads=1), train=train)
    assert gathered(one, other) == [("one", ["one", "other"])]


def test_the_same_seed_again_is_another_system(make: Make, tmp_path: Path) -> None:
    runs = [make("a/1", seed=1), make("a/2", seed=2), make("b/1", seed=1), make("b/2", seed=2)]
    (one, members), (other, others) = gathered(*runs)
    assert (members, others) == (["1", "2"], ["1", "2"])
    assert (one, other) == (f"1 ({tmp_path / 'a/1'})", f"1 ({tmp_path / 'b/1'})")


def test_how_the_scores_were_made_belongs_to_the_system(make: Make) -> None:
    greedy = {"search": {"kind": "greedy", "beam_size": 1}}
    runs = [make("beam"), make("greedy", made_by=greedy, seed=2), make("int8", made_by={"precision": "int8"}, seed=3)]
    assert [label for label, _ in gathered(*runs[:2])] == [
        "search.kind=beam, search.beam_size=5",
        "search.kind=greedy, search.beam_size=1",
    ]
    assert [label for label, _ in gathered(runs[0], runs[2])] == ["precision=float32", "precision=int8"]


def test_systems_with_more_than_three_differences_are_all_labelled_by_their_directories(make: Make) -> None:
    changes = {
        "model": model_config(cell=CellKind.gru, hidden_size=8, attention=None),
        "optim": OptimConfig(learning_rate=0.5),
    }
    first, many = make("first"), make("many", ("model=tiny",), **changes)
    one = make("one", optim=OptimConfig(learning_rate=0.25), seed=3)
    assert [label for label, _ in gathered(first, one)] == ["optim.learning_rate=0.002", "optim.learning_rate=0.25"]
    assert [label for label, _ in gathered(first, one, many)] == ["first", "one", "many"]


def test_a_label_has_the_value_with_which_the_run_was_continued(make: Make) -> None:
    one, other = make("one"), make("other", ("train.max_steps=70",), train=TrainConfig(max_steps=70))
    other.take_up({"train.max_steps": 90})
    other.finish()
    assert gathered(one, other)[1][0] == "train.max_steps=90"


def own_scores(run: RunDirectory, folder: Path) -> list[Path]:
    """Score the first lines of the test set under the name `own`, as files of the user."""
    files = [folder / "own.en", folder / "own.de"]
    lines = [side[:9] for side in run.text("test")]
    for path, side in zip(files, lines, strict=True):
        path.write_text("".join(f"{line}\n" for line in side), encoding="utf-8")
    src, *references = (hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    identity = {"name": "own.en", "src_sha256": src, "ref_sha256": references}
    record = json.loads((run.path / "scores" / "test.json").read_text())
    record["made_by"] |= {"test_set": identity, "files": list(map(str, files))}
    (run.path / "scores" / "own.json").write_text(json.dumps(record))
    hypotheses = (run.path / "scores" / "test.hyp").read_text().split("\n")[:9]
    (run.path / "scores" / "own.hyp").write_text("".join(f"{line}\n" for line in hypotheses))
    return files


def test_scores_recorded_under_a_name_are_compared_if_their_sentences_are_unchanged(make: Make, tmp_path: Path) -> None:
    runs = [make("one"), make("other", model=GRU)]
    paths = [str(run.path) for run in runs]
    files = [own_scores(run, tmp_path) for run in runs][-1]
    systems, test = gather(paths, "own")
    assert (len(systems), test.name, len(test.src)) == (2, "own", 9)
    assert test.references[0] == files[1].read_text(encoding="utf-8").split("\n")[:-1]
    files[1].write_text(files[1].read_text(encoding="utf-8").replace(".", "!"), encoding="utf-8")
    with pytest.raises(UserError, match=r"own.json has scores of other sentences .* name=own src=FILE ref=FILE"):
        gather(paths, "own")
    files[1].unlink()
    with pytest.raises(
        UserError, match=r"the files of .*own\.json are missing or moved; score them again: nmt-evaluate"
    ):
        gather(paths, "own")
    with pytest.raises(
        UserError, match=r"the name mine \(it has: own, test\); compute them with: .* name=mine src=FILE"
    ):
        gather(paths, "mine")


def test_scores_of_a_split_under_another_name_are_compared_on_that_split(make: Make) -> None:
    run = make("one")
    src, tgt = run.text("test")
    identity = EvaluationSet("test", src, [tgt]).identity()
    write_scores(run, tgt, 1, name="greedy", test_set=identity, search={"kind": "greedy"})
    systems, test = gather([str(run.path)], "greedy")
    assert (test.src, systems[0].runs[0].scores["bleu"]["score"]) == (src, pytest.approx(100))


def test_a_missing_value_is_labelled_null(make: Make) -> None:
    runs = [make("with", model=model_config()), make("without", model=model_config(attention=None))]
    assert gathered(*runs)[1][0] == "model.decoder.attention=null"


def test_a_folder_of_runs_stands_for_them_in_the_order_of_their_numbers(make: Make, tmp_path: Path) -> None:
    for number in (0, 2, 10):
        make(f"sweep/{number}", seed=20 - number)
    (tmp_path / "sweep" / "multirun.yaml").write_text("")
    systems, _ = gather([str(tmp_path / "sweep")], "test")
    assert [system.seeds for system in systems] == [[10, 18, 20]]
    names = [make(f"more/{number}", model=model_config(hidden_size=8 + 2 * number)).path.name for number in (10, 9)]
    assert [members for _, members in gathered(tmp_path / "more")] == [[name] for name in sorted(names, key=int)]


def test_costs_are_means_over_the_seeds_and_memory_is_the_maximum(make: Make) -> None:
    runs = [make("one", seed=1), make("two", seed=2)]
    for run, seconds, memory, speeds in zip(runs, (60.0, 120.0), (700, 300), ((1, 5, 90), (7, 8)), strict=True):
        run.add_facts(parameters=50, seconds=seconds, cpu_seconds=2 * seconds, peak_memory_bytes=memory)
        lines = [json.dumps({"step": step, "train/tokens_per_second": speed}) for step, speed in enumerate(speeds)]
        run.metrics_path.write_text("\n".join([*lines, json.dumps({"valid/seconds": 999}), '{"step": 9, "tra']))
    systems, _ = gather([str(run.path) for run in runs], "test")
    cost = {"parameters": 50, "seconds": 90, "cpu_seconds": 180, "peak_memory_bytes": 700, "tokens_per_second": 6.25}
    assert systems[0].cost == cost


def test_the_cost_of_an_older_run_has_only_recorded_quantities(make: Make) -> None:
    run = make("old")
    run.metrics_path.write_text('{"step": 1, "valid/seconds": 30.5}\n{"step": 2, "valid/seconds": 61.0}\n')
    systems, _ = gather([str(run.path)], "test")
    assert systems[0].cost == {"seconds": 61.0}
    run.metrics_path.unlink()
    assert gather([str(run.path)], "test")[0][0].cost == {}


def test_the_test_set_is_that_of_the_runs(make: Make) -> None:
    run = make("one")
    _, test = gather([str(run.path)], "test")
    assert (test.src, test.references[0]) == run.text("test")
    assert len(test.src) == SENTENCES
    src, references = (f"{side}\n".encode() for side in ("a\nb", "c\nd"))
    small = EvaluationSet("test", ["a", "b"], [["c", "d"]])
    assert sha256_of_set(small) == hashlib.sha256(src + references).hexdigest()


def test_scores_of_another_signature_are_refused_unless_another_metric_is_chosen(make: Make) -> None:
    one, other = make("one"), make("other", made_by={"tokenize": "none"}, seed=2)
    line = refusal(one, other)
    for part in ("bleu", "tok:13a", "tok:none", str(one.path), str(other.path), "metric="):
        assert part in line
    assert "tok:none" in refusal(one, other, metric="bleu")
    systems, _ = gather([str(one.path), str(other.path)], "test", "chrf")
    assert [list(run.scores) for run in systems[0].runs] == [["chrf"], ["chrf"]]


def test_scores_of_other_sentences_are_refused(make: Make, cache: Path) -> None:
    one = make("one")
    corpus = PhrasebookConfig(train=150, valid=4, test=SENTENCES, seed=99)
    other = make("other", data=replace(settings(cache).data, phrasebook=corpus))
    assert f"{other.path} has another test set than {one.path}" in refusal(one, other)


def test_a_run_without_scores_is_refused_with_the_command_that_computes_them(make: Make) -> None:
    one, other = make("one"), make("other", seed=2)
    (other.path / "scores" / "test.hyp").unlink()
    assert refusal(one, other).endswith(f"nmt-evaluate run={other.path} split=test")
    other.write_record({key: value for key, value in other.record().items() if key != "finished"})
    assert f"nmt-train train.resume={other.path}" in refusal(one, other)
    assert "no score metric=meteor" in refusal(one, metric="meteor")


@pytest.mark.parametrize("content", ["", "[]", '{"bleu": {}}', '{"made_by": {"search": {}}}', '{"made_by": 7}'])
def test_a_damaged_record_is_refused(make: Make, content: str) -> None:
    run = make("one")
    (run.path / "scores" / "test.json").write_text(content)
    assert "test.json is damaged" in refusal(run)


def test_another_number_of_translations_is_refused(make: Make) -> None:
    run = make("one")
    with (run.path / "scores" / "test.hyp").open("a") as file:
        file.write("one more\n")
    assert f"has {SENTENCES + 1} lines for {SENTENCES} sentences" in refusal(run)


def test_a_path_that_is_given_twice_or_is_not_a_run_is_refused(make: Make, tmp_path: Path) -> None:
    run = make("sweep/0")
    assert "given twice" in refusal(run, tmp_path / "sweep")
    assert "does not exist" in refusal(run, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "not a run directory" in refusal(tmp_path / "empty")


def test_a_score_that_only_some_runs_have_is_kept(make: Make) -> None:
    one, other = make("one"), make("other", seed=2)
    path = other.path / "scores" / "test.json"
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != "ter"}))
    systems, _ = gather([str(one.path), str(other.path)], "test")
    assert ["ter" in run.scores for run in systems[0].runs] == [True, False]


def test_perplexity_per_piece_is_left_out_where_the_pieces_differ(make: Make) -> None:
    runs = [make("one"), make("other", seed=2)]
    scores: set[str] = set()
    for run, vocabulary in zip(runs, ("a", "b"), strict=True):
        path = run.path / "scores" / "test.json"
        record = json.loads(path.read_text())
        for name, signature in (("perplexity", f"vocabulary:{vocabulary}"), ("perplexity_word", "unit:word")):
            record[name] = {"score": 5.5, "signature": signature, "interval": [5, 6]}
        path.write_text(json.dumps(record))
        scores = set(record) - {"made_by"}
    systems, _ = gather([str(run.path) for run in runs], "test")
    assert [set(run.scores) for run in systems[0].runs] == [scores - {"perplexity"}] * 2
    assert "vocabulary:b" in refusal(*runs, metric="perplexity")
    assert "perplexity" in gather([str(runs[0].path)], "test")[0][0].runs[0].scores
