"""Rounds of back-translation without trainings: corpora, configurations of both directions, settings, translations."""

import gzip
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from scored_run import scored_run, settings

from nmt.back_translation import BackTranslation, rounds
from nmt.back_translation.corpus import SyntheticCorpus, bleu_tokenizer, most_probable, new_sentences
from nmt.config import (
    BackTranslationConfig,
    Config,
    DataConfig,
    InitVocabulary,
    MachineConfig,
    SearchConfig,
    TextFiles,
    TokenizerConfig,
    TrainConfig,
    Tying,
)
from nmt.config.data import CleaningConfig
from nmt.config.train import EmbeddingFileConfig, PretrainedEmbeddingsConfig
from nmt.data import locate
from nmt.decoding import Candidate
from nmt.errors import UserError
from nmt.run import RunDirectory
from nmt.runtime import setup_runtime


def work(
    folder: Path, config: Config | None = None, search: SearchConfig | None = None, **values: Any
) -> BackTranslation:
    """Return the rounds for a finished run in a folder, which is made at the first call."""
    path = folder / "run"
    if not path.exists():
        scored_run(path, config or settings(folder / "cache"), lambda number: False)
    (folder / "mono.de").touch()
    given = {"run": str(path), "text": str(folder / "mono.de"), "output": str(folder / "out")} | values
    runtime = setup_runtime(MachineConfig(threads=torch.get_num_threads()))

    def train_run(config: Config, path: Path) -> RunDirectory:
        raise AssertionError(f"{path} is not trained here")

    run = RunDirectory.open(str(path))
    return BackTranslation(run, BackTranslationConfig(**given), search or SearchConfig(), runtime, train_run)


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def test_the_share_with_the_highest_scores_is_kept_in_order() -> None:
    scores = [-1.0, -0.5, -2.0, -0.3]
    assert [most_probable(scores, share) for share in (1.0, 0.75, 0.5, 0.25)] == [[0, 1, 2, 3], [0, 1, 3], [1, 3], [3]]


def test_the_end_of_each_part_counts_as_a_piece() -> None:
    candidate = Candidate("d d", log_prob=-3.0, score=math.nan, pieces=[[5] * 4, [5] * 4])
    assert rounds.per_piece(candidate) == pytest.approx(-3.0 / 10)


def test_training_and_held_out_sentences_and_repetitions_are_not_translated() -> None:
    lines = ["Die  Tür ist offen .", "", "Der Hund schläft.", "Die Tür ist offen .", "DER HUND SCHLÄFT !", "Ein Haus ."]
    assert new_sentences(lines, {"der hund schläft", ""}, set()) == ["Die Tür ist offen .", "Ein Haus ."]
    assert new_sentences(lines, {"der hund schläft", ""}, {"Ein Haus ."}) == ["Die Tür ist offen ."]


@pytest.mark.parametrize("name", ["mono.de", "mono.de.gz"])
def test_the_text_is_copied_without_the_sentences_of_all_held_out_sets(tmp_path: Path, name: str) -> None:
    """Further test sets are found through the run's configuration, which names files of a folder."""
    given = work(tmp_path)
    held_out = given.run.text("valid")[1][0], given.run.text("test")[1][0], "Das Fenster ist zu ."
    new = [f"Satz {number} ." for number in range(20)]
    _, trained = next(locate(given.run.config().data)["train"].pairs())
    write(tmp_path / name, *held_out, trained, *new, new[3])
    if name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    write(given.corpus.test_path("further", "en"), "The window is shut .")
    write(given.corpus.test_path("further", "de"), "das Fenster ist zu")
    given.corpus.folder.rename(tmp_path / "kept")  # the corpus is written as a whole
    given.corpus.begin(given.run, [])
    (tmp_path / "kept" / "tests").rename(given.corpus.folder / "tests")
    given.corpus.begin(given.run, [("de", str(tmp_path / name))])
    assert given.corpus.text("de") == new
    data = given.mixture("de", []).data
    assert data.tests == {"further": TextFiles(src=["tests/further.de"], tgt=["tests/further.en"])}


@pytest.mark.parametrize(
    ("settings_of", "expected"),
    [
        ({"forward": True}, ["forward1", "back1", "forward2", "back2"]),
        ({"forward": False}, ["back1", "forward2", "back2"]),
    ],
)
def test_the_source_text_is_translated_only_where_a_training_reads_it(
    settings_of: dict[str, Any], expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = work(tmp_path, reverse=None, source_text=str(tmp_path / "mono.en"), rounds=2, **settings_of)
    given.first_reverse = given.run
    translated: list[str] = []
    monkeypatch.setattr(given.corpus, "begin", lambda run, texts: None)
    monkeypatch.setattr(given, "translate", lambda model, name, src: translated.append(name) or name)
    monkeypatch.setattr(given, "mixture", lambda src, names: (src, names))
    monkeypatch.setattr(given, "train_run", lambda config, path: given.run)
    monkeypatch.setattr(given, "figures", lambda number, *rest: number)
    assert list(given.rounds()) == [0, 1, 2]
    assert translated == expected


def test_a_short_or_damaged_text_is_refused_before_any_training(tmp_path: Path) -> None:
    given = work(tmp_path)
    write(tmp_path / "mono.de", "Ein Haus .")
    with pytest.raises(UserError, match=r"mono\.de has 1 sentences"):
        next(given.rounds())
    (tmp_path / "mono.de").write_bytes(b"Ein Haus .\n" * 50_000 + b"\xff\n")
    with pytest.raises(UserError, match="UTF-8"):
        next(given.rounds())


def test_pairs_are_cleaned_as_a_training_set_and_tagged_on_their_source(tmp_path: Path) -> None:
    corpus = SyntheticCorpus(tmp_path, DataConfig(), "<BT>")
    for language, line in (("en", "a dog ."), ("de", "ein Hund .")):
        write(tmp_path / f"valid.{language}", line)
    pairs = [(f"house {number} .", f"Haus {number} .") for number in range(12)]
    corpus.write_pairs("back1", [*pairs, ("same .", "same ."), ("", "leer ."), ("A dog!", "Hund .")], CleaningConfig())
    assert (tmp_path / "back1.en").read_text() == "".join(f"{src}\n" for src, _ in [*pairs, ("A dog!", "")])
    strict = CleaningConfig(drop_test_sources=True)
    corpus.write_pairs("back2", [*pairs, ("A dog!", "Hund .")], strict)
    assert (tmp_path / "back2.de").read_text() == "".join(f"{tgt}\n" for _, tgt in pairs)
    for src, tgt in (("en", "de"), ("de", "en")):
        data = corpus.config(src, ["back2"], copies=1)
        assert data.train == TextFiles(
            src=[f"train.{src}", f"back2.tagged.{src}"], tgt=[f"train.{tgt}", f"back2.{tgt}"]
        )
        lines = (tmp_path / f"back2.tagged.{src}").read_text().splitlines()
        assert lines == [f"<BT> {pair[src == 'de']}" for pair in pairs]
        assert data.tokenizer.user_symbols == ["<BT>"]
    with pytest.raises(UserError, match="back3: 0 of 1 pairs are left"):
        corpus.write_pairs("back3", [("same .", "same .")], CleaningConfig())


def test_copies_of_real_pairs_are_not_dropped_as_duplicates(tmp_path: Path) -> None:
    corpus = SyntheticCorpus(tmp_path, DataConfig(), "<BT>")
    data = corpus.config("en", [], copies=3)
    assert (data.train.src, data.cleaning.drop_duplicates) == (["train.en"] * 3, False)
    assert corpus.config("en", [], copies=1).cleaning.drop_duplicates


@pytest.mark.parametrize(
    ("src_lang", "tokenize", "reverse"),
    [("en", "13a", "13a"), ("en", "none", "none"), ("en", "zh", "13a"), ("zh", "13a", "char"), ("ja", "none", "char")],
)
def test_bleu_of_the_reverse_direction_has_a_tokenizer_for_its_language(
    src_lang: str, tokenize: str, reverse: str
) -> None:
    data = DataConfig(src_lang=src_lang, tgt_lang="xx", bleu_tokenize=tokenize)
    assert (bleu_tokenizer(data, "xx"), bleu_tokenizer(data, src_lang)) == (tokenize, reverse)


def test_the_reverse_training_has_the_sides_of_the_other_direction(tmp_path: Path) -> None:
    given = work(tmp_path)
    vectors = PretrainedEmbeddingsConfig(src=EmbeddingFileConfig(file="en.vec"), tgt=EmbeddingFileConfig(file="de.vec"))
    tokenizer = TokenizerConfig(joint=False, src_file="en.model", tgt_file="de.model", user_symbols=["<x>"])
    given.base = replace(
        given.base,
        train=replace(given.base.train, pretrained_embeddings=vectors),
        search=SearchConfig(replace_unknown="words.tsv"),
        model=replace(given.base.model, tying=Tying.two_way),
    )
    given.corpus.data = replace(given.corpus.data, tokenizer=tokenizer, cache="elsewhere")
    for src, sides in (("en", ("en", "de")), ("de", ("de", "en"))):
        config = given.mixture(src, [])
        data, train = config.data, config.train
        assert (data.src_lang, data.tgt_lang) == sides
        assert (data.tokenizer.src_file, data.tokenizer.tgt_file) == tuple(f"{side}.model" for side in sides)
        assert data.tokenizer.user_symbols == ["<x>", "<BT>"]
        loaded = train.pretrained_embeddings
        assert (loaded.src.file, loaded.tgt.file) == tuple(f"{side}.vec" for side in sides)
        assert data.valid == TextFiles(src=[f"valid.{sides[0]}"], tgt=[f"valid.{sides[1]}"])
        assert config.search.replace_unknown == ("words.tsv" if src == "en" else None)
        assert (data.phrasebook, data.cache) == (None, "elsewhere")


def test_a_fine_tuned_run_is_trained_from_random_weights_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scored_run(tmp_path / "base", settings(tmp_path / "cache"), lambda number: False)
    tuned = TrainConfig(init_from=str(tmp_path / "base"), init_vocabulary=InitVocabulary.corpus, freeze=["encoder"])
    train = work(tmp_path, settings(tmp_path / "cache", train=tuned)).mixture("de", []).train
    assert (train.init_from, train.init_vocabulary, train.freeze) == (None, InitVocabulary.base, [])
    assert "the rounds begin with random weights" in caplog.text


def test_the_same_settings_continue_and_others_are_refused(tmp_path: Path) -> None:
    work(tmp_path).folder.mkdir()
    (tmp_path / "out" / "settings.tmp").touch()  # killed in the first write
    work(tmp_path).begin()
    work(tmp_path, rounds=3, machine=MachineConfig(threads=1)).begin()
    for values, name in (
        ({"keep": 0.5}, r"keep=0\.9 \(here 0\.5\)"),
        ({"search": SearchConfig(beam_size=7)}, r"search\.beam_size=5 \(here 7\)"),
        ({"training": {"train.max_steps": 9}}, "begun with training="),
        ({"source_text": "mono.en"}, r"source_text=False \(here True\)"),
    ):
        with pytest.raises(UserError, match=name):
            work(tmp_path, **values).begin()
    (tmp_path / "other").mkdir()
    write(tmp_path / "other" / "file", "text")
    with pytest.raises(UserError, match="holds other files"):
        work(tmp_path, output=str(tmp_path / "other")).begin()


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"train.max_stepz": 9}, r"train\.max_stepz"),
        ({"train.max_steps": -9}, "max_steps"),
        ({"data.root": "x"}, r"training has data\.root, which the command sets"),
        ({"train.init_from": "x"}, r"training has train\.init_from"),
    ],
)
def test_changes_that_the_trainings_cannot_have_are_refused(
    tmp_path: Path, training: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        work(tmp_path, training=training)


def test_changes_of_the_trainings_keep_the_tag(tmp_path: Path) -> None:
    given = work(tmp_path, training={"data.tokenizer.user_symbols": ["<x>"], "train.max_steps": 9, "seed": 5})
    config = given.mixture("en", [])
    assert (config.data.tokenizer.user_symbols, config.train.max_steps, config.seed) == (["<x>", "<BT>"], 9, 5)


def test_unfinished_runs_and_runs_of_the_same_direction_are_refused(tmp_path: Path) -> None:
    given = work(tmp_path)
    with pytest.raises(UserError, match="translates en to de; give a run from de to en"):
        work(tmp_path, reverse=str(tmp_path / "run"))
    given.run.write_record(given.run.record() | {"finished": False})
    with pytest.raises(UserError, match="is not finished"):
        work(tmp_path)


class Reversing:
    """Translator that reverses lines, and stops after a number of calls."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def __call__(self, translator: object, lines: Sequence[str], name: str) -> list[list[Candidate]]:
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        return [[Candidate(line[::-1], -len(line) * 1.0, 0.0, [[5] * (len(line) - 1)])] for line in lines]


@pytest.mark.parametrize("damage", ["", "-1.000000\tunfin", "-1.00000"])
def test_a_stopped_translation_continues_after_its_last_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(rounds, "BLOCK", 3)
    lines, path = [f"satz {number}" for number in range(10)], tmp_path / "back1.part.tsv"
    monkeypatch.setattr(rounds, "translate_with_bar", Reversing(2))
    with pytest.raises(KeyboardInterrupt):
        rounds.translate_blocks(None, lines, path)  # type: ignore[arg-type]
    with path.open("a", encoding="utf-8") as file:
        file.write(damage)
    monkeypatch.setattr(rounds, "translate_with_bar", Reversing(2))  # enough for the two blocks that are missing
    scores, texts = rounds.translate_blocks(None, lines, path)  # type: ignore[arg-type]
    assert texts == [line[::-1] for line in lines]
    assert scores == [-1.0] * 10
