"""Evaluation of a small run: scores, their files, and refused input."""

import hashlib
import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
import torch
from shapes import model_config

from nmt.config import Config, DataConfig, EvaluateConfig, PhrasebookConfig, SearchConfig, TokenizerConfig
from nmt.data import prepare
from nmt.data.tokenizer import train_tokenizer
from nmt.decoding import Translator, load_translator
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet, evaluate_split, score_translations, show_scores
from nmt.metrics import Score
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.phrasebook import Pair
from nmt.run import Checkpoint, RunDirectory, save_checkpoint

CPU = torch.device("cpu")
SEARCH = SearchConfig(beam_size=2, max_length_ratio=0.0, max_length_offset=6)
STEP = 30


def untrained(seed: int, size: int) -> Seq2Seq:
    torch.manual_seed(seed)
    return build_model(model_config(embed_size=8, hidden_size=8), Vocabulary(size, size)).eval()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Return a run with checkpoints of untrained models: `best` from seed 1, `last` from seed 2."""
    folder = tmp_path_factory.mktemp("run")
    config = Config(
        data=DataConfig(
            phrasebook=PhrasebookConfig(train=150, valid=4, test=6),
            tokenizer=TokenizerConfig(vocab_size=150),
            cache=str(folder / "cache"),
        ),
        model=model_config(embed_size=8, hidden_size=8),
        search=SEARCH,
        seed=5,
    )
    made = RunDirectory(folder / "run")
    made.create(config, prepare(config.data))
    for step, seed, link in ((STEP, 1, "best"), (STEP + 1, 2, "last")):
        model = untrained(seed, made.tokenizer("src").size)
        save_checkpoint(made.checkpoints, Checkpoint(step, dict(model.named_parameters()), run=made.identity), [link])
    return made


@pytest.fixture
def translator(run: RunDirectory) -> Translator:
    return load_translator(run, "best", SEARCH, CPU)[0]


@pytest.mark.parametrize(("checkpoint", "step", "seed"), [("best", STEP, 1), ("last", STEP + 1, 2)])
def test_the_model_of_a_checkpoint_is_loaded_ready_to_translate(
    run: RunDirectory, checkpoint: str, step: int, seed: int
) -> None:
    translator, actual = load_translator(run, checkpoint, SEARCH, CPU)
    assert actual == step
    assert not translator.model.training
    expected = untrained(seed, run.tokenizer("src").size)
    for name, parameter in translator.model.named_parameters():
        assert torch.equal(parameter, expected.get_parameter(name))
    lines = run.text("test")[0]
    expected_translator = Translator(expected, run.tokenizer("src"), run.tokenizer("tgt"), SEARCH)
    assert translator.translate(lines) == expected_translator.translate(lines)


def test_the_average_of_checkpoints_is_the_mean_of_their_weights(run: RunDirectory) -> None:
    translator, step = load_translator(run, "average:2", SEARCH, CPU)
    assert step == STEP + 1
    one, other = (untrained(seed, run.tokenizer("src").size) for seed in (1, 2))
    for name, parameter in translator.model.named_parameters():
        mean = (one.get_parameter(name) + other.get_parameter(name)) / 2
        torch.testing.assert_close(parameter, mean)
    newest = load_translator(run, "average:1", SEARCH, CPU)[0].model
    assert torch.equal(newest.output_bias, other.output_bias)


def test_an_average_of_more_checkpoints_than_are_kept_or_there_is_refused(run: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"keeps 2 checkpoints; train with train\.keep_checkpoints=3"):
        load_translator(run, "average:3", SEARCH, CPU)
    shutil.copytree(run.path, tmp_path / "run", symlinks=True)
    shutil.rmtree(tmp_path / "run" / "checkpoints" / f"step-{STEP:08d}")
    with pytest.raises(UserError, match="average:2 needs 2 checkpoints"):
        load_translator(RunDirectory(tmp_path / "run"), "average:2", SEARCH, CPU)


def test_runs_of_the_same_tokenizers_translate_together(run: RunDirectory) -> None:
    translator, _ = load_translator(run, "best", SEARCH, CPU, [run, run])
    lines = run.text("test")[0]
    alone = load_translator(run, "best", SEARCH, CPU)[0]
    assert [best.text for best, *_ in translator.translate(lines)] == [best.text for best, *_ in alone.translate(lines)]


def test_an_ensemble_of_runs_with_other_tokenizers_is_refused_in_one_line(
    run: RunDirectory, tmp_path: Path, phrases: list[Pair]
) -> None:
    shutil.copytree(run.path, tmp_path / "run", symlinks=True)
    other = train_tokenizer((pair.en for pair in phrases), TokenizerConfig(vocab_size=150))
    (tmp_path / "run" / "tokenizer" / "tgt.model").write_bytes(other)
    with pytest.raises(UserError, match=r"^ensemble: .* has other tokenizers than [^\n]*$"):
        load_translator(run, "best", SEARCH, CPU, [RunDirectory(tmp_path / "run")])


def test_a_run_without_checkpoint_is_refused_in_one_line(run: RunDirectory, tmp_path: Path) -> None:
    for name in ("config.yaml", "run.json"):
        (tmp_path / name).write_bytes((run.path / name).read_bytes())
    with pytest.raises(UserError, match=r"no checkpoint yet$"):
        load_translator(RunDirectory(tmp_path), "best", SEARCH, CPU)


def test_a_split_leaves_its_translations_and_scores_that_sacrebleu_confirms(
    run: RunDirectory, translator: Translator
) -> None:
    scores = evaluate_split(run, translator, "test", STEP, run.config())
    src, references = run.text("test")
    hypotheses = (run.path / "scores" / "test.hyp").read_text(encoding="utf-8").split("\n")[:-1]
    assert hypotheses == [best.text for best, *_ in translator.translate(src)]

    record = json.loads((run.path / "scores" / "test.json").read_text(encoding="utf-8"))
    names = ["bleu", "chrf", "chrfpp", "ter", "rouge_l", "perplexity", "perplexity_word", "perplexity_char"]
    assert list(record) == [*names, "made_by"]
    for name, corpus_score in (
        ("bleu", sacrebleu.corpus_bleu),
        ("chrf", sacrebleu.corpus_chrf),
        ("ter", sacrebleu.corpus_ter),
    ):
        assert record[name]["score"] == pytest.approx(corpus_score(hypotheses, [references]).score)
        assert record[name]["score"] == scores[name].score
        assert record[name]["signature"] == scores[name].signature
        assert f"version:{sacrebleu.__version__}" in record[name]["signature"]
    assert record["made_by"]["checkpoint_step"] == STEP
    assert record["made_by"]["seed"] == 5
    assert record["made_by"]["sentences"] == 6
    assert record["made_by"]["search"]["kind"] == "beam"
    assert record["made_by"]["search"]["beam_size"] == 2
    for name in names:
        low, high = record[name]["interval"]
        assert low <= record[name]["score"] <= high
        assert record[name]["score"] == scores[name].score
    assert record["made_by"]["sentences_per_second"] == pytest.approx(6 / record["made_by"]["seconds"])
    files = [(run.path / "data" / f"test.{side}").read_bytes() for side in ("src", "tgt")]
    src_sha256, ref_sha256 = (hashlib.sha256(file).hexdigest() for file in files)
    identity = {"name": "test", "src_sha256": src_sha256, "ref_sha256": [ref_sha256]}
    assert record["made_by"]["test_set"] == identity


def evaluate(test: EvaluationSet, translator: Translator, config: Config, stem: Path, **more: Any) -> dict[str, Score]:
    scored = score_translations(test, translator, config=config, **{"step": STEP} | more)
    scored.keep(stem)
    return scored.scores


@pytest.mark.parametrize("killed_at", ["again.tmp", "again.hyp", None])
def test_an_evaluation_that_is_killed_leaves_no_scores_of_other_translations(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str | None
) -> None:
    src, references = run.text("test")
    test, stem = EvaluationSet("test", src, [references]), tmp_path / "again"
    old, new = (load_translator(run, checkpoint, SEARCH, CPU)[0] for checkpoint in ("best", "last"))
    evaluate(test, old, run.config(), stem, step=1)
    write = Path.write_text

    def write_half(path: Path, text: str, encoding: str) -> None:
        write(path, text[: len(text) // 2] if path.name == killed_at else text, encoding=encoding)
        if path.name == killed_at:
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", write_half)
    with suppress(KeyboardInterrupt):
        evaluate(test, new, run.config(), stem, step=2)
    actual = (tmp_path / "again.json").is_file()
    assert actual == (killed_at != "again.hyp")
    if actual:
        step = json.loads((tmp_path / "again.json").read_text(encoding="utf-8"))["made_by"]["checkpoint_step"]
        lines = (tmp_path / "again.hyp").read_text(encoding="utf-8").split("\n")[:-1]
        assert step == (1 if killed_at else 2)
        assert lines == [best.text for best, *_ in (old if killed_at else new).translate(src)]


def test_references_that_the_model_would_write_score_a_hundred(
    run: RunDirectory, translator: Translator, tmp_path: Path
) -> None:
    src = run.text("valid")[0]
    wished = [best.text for best, *_ in translator.translate(src)]
    test = EvaluationSet("own.de", src, [wished])
    scores = evaluate(test, translator, run.config(), tmp_path / "own.de")
    assert scores["chrf"].score == pytest.approx(100)
    assert scores["ter"].score == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.de.hyp", "own.de.json"]


def test_a_learnt_metric_gets_the_translations_and_stands_in_the_record(
    run: RunDirectory, translator: Translator, tmp_path: Path
) -> None:
    src, references = run.text("valid")
    given: list[object] = []

    def comet(*arguments: object) -> Score:
        given.extend(arguments)
        return Score(0.75, "model:any", (0.5, 1.0))

    test = EvaluationSet("own", src, [references, src], {"test": "own"})
    scores = evaluate(test, translator, run.config(), tmp_path / "own", comet=comet)
    hypotheses = (tmp_path / "own.hyp").read_text(encoding="utf-8").split("\n")[:-1]
    assert given == [src, hypotheses, references, {"test": "own"}]
    record = json.loads((tmp_path / "own.json").read_text(encoding="utf-8"))
    assert record["comet"] == {"score": 0.75, "signature": "model:any", "interval": [0.5, 1.0]}
    assert scores["bleu"].signature.startswith("nrefs:2|test:own|")
    assert len(record["made_by"]["test_set"]["ref_sha256"]) == 2


def test_a_warning_counts_the_pieces_of_the_references_that_the_vocabulary_lacks(
    run: RunDirectory, translator: Translator, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    src, references = run.text("valid")
    evaluate(EvaluationSet("own", src, [references]), translator, run.config(), tmp_path / "own")
    known = [record for record in caplog.records if "not in the vocabulary" in record.getMessage()]
    assert not known
    strange = [f"{references[0]} Ω Ψ", *references[1:]]
    scores = evaluate(EvaluationSet("own", src, [strange]), translator, run.config(), tmp_path / "own")
    (warning,) = [record for record in caplog.records if "not in the vocabulary" in record.getMessage()]
    assert warning.getMessage().startswith("own: 2 pieces of the references")
    hypotheses = (tmp_path / "own.hyp").read_text(encoding="utf-8").split("\n")[:-1]
    assert scores["bleu"].score == pytest.approx(sacrebleu.corpus_bleu(hypotheses, [strange]).score)


@pytest.mark.parametrize(
    ("src", "references", "expected"),
    [
        (["a", "b", "c"], ["a"], "src has 3 lines and ref 1;"),
        (["a"], [], "src has 1 lines and ref 0;"),
        ([], [], "src has no line;"),
    ],
)
def test_sides_of_different_length_and_empty_ones_are_refused(
    run: RunDirectory, translator: Translator, tmp_path: Path, src: list[str], references: list[str], expected: str
) -> None:
    with pytest.raises(UserError, match=expected) as error:
        evaluate(EvaluationSet("own", src, [references]), translator, run.config(), tmp_path / "own")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_scores_are_printed_one_a_line_each_with_its_signature(capsys: pytest.CaptureFixture[str]) -> None:
    show_scores(
        {
            "bleu": Score(34.449, "nrefs:1|tok:13a", (33.04, 36.0)),
            "ter": Score(50.0, "tok:t"),
            "perplexity": Score(6.128, "unit:piece", (6.0, 6.2)),
        }
    )
    printed = capsys.readouterr()
    lines = ["BLEU = 34.4 [33.0, 36.0]", "nrefs:1|tok:13a", "TER = 50.0", "tok:t"]
    assert printed.out == "\n".join([*lines, "perplexity = 6.13 [6.00, 6.20]", "unit:piece"]) + "\n"
    assert printed.err == ""


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ({"name": "test"}, True),
        ({"name": "valid", "split": "valid"}, True),
        ({"name": "tests", "split": "valid"}, True),
        ({"name": "test", "split": "valid"}, False),
        ({"name": "train"}, False),
        ({"name": "test", "ensemble": ["runs/other"]}, False),
        ({"name": "test", "src": "a", "ref": "b"}, False),
        ({"name": "test", "testset": "wmt14"}, False),
    ],
)
def test_a_runs_own_scores_of_a_split_are_not_written_over(asked: dict[str, Any], allowed: bool) -> None:
    actual = list(EvaluateConfig("runs/one", **asked).problems())
    assert [(key, "give another name" in text) for key, text in actual] == ([] if allowed else [("name", True)])
