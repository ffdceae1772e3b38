"""Weights from a run with another vocabulary or another model, compared piece by piece and name by name."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from shapes import model_config
from tiny_training import assert_same, weights

from nmt.config import (
    CellKind,
    Config,
    DataConfig,
    InitVocabulary,
    ModelConfig,
    PhrasebookConfig,
    TokenizerConfig,
    TokenizerType,
    TrackingConfig,
    TrackingMode,
    TrainConfig,
    Tying,
)
from nmt.data import Tokenizer
from nmt.errors import UserError
from nmt.models import Vocabulary, build_model
from nmt.pipeline import create_run, reopen_run
from nmt.run import Checkpoint, RunDirectory, load_weights, prepare_corpus, save_checkpoint
from nmt.run_corpus import with_base_tokenizer
from nmt.training import Tracker, Trainer, build_trainer

TABLES = {
    "encoder.embedding.weight": "src",
    "decoder.embedding.weight": "tgt",
    "output_weight": "tgt",
    "output_bias": "tgt",
}
"""Parameters of a model without tying that have a row per piece, and the side of their vocabulary."""


def config(folder: Path, model: ModelConfig, tokenizer: TokenizerConfig, train: TrainConfig, seed: int = 1) -> Config:
    return Config(
        data=DataConfig(
            phrasebook=PhrasebookConfig(train=150, valid=4, test=6, seed=seed),
            tokenizer=tokenizer,
            cache=str(folder / "cache"),
        ),
        model=model,
        train=replace(train, batch_size=8),
        tracking=TrackingConfig(mode=TrackingMode.disabled),
        seed=seed,
    )


def begin(settings: Config, folder: Path) -> tuple[Trainer, RunDirectory]:
    """Create a run and build its trainer."""
    run = RunDirectory(folder)
    if settings.train.init_from is not None:
        settings = with_base_tokenizer(settings, settings.train.init_from)
    prepared = create_run(run, settings)
    tracker = Tracker(run.path, settings.tracking, {})
    return build_trainer(settings, run, prepared, tracker, torch.device("cpu"), False), run


SMALL_KEYS: dict[str, Any] = {"embed_size": 8, "hidden_size": 8, "tying": Tying.none}
SMALL = model_config(**SMALL_KEYS)
APART = TokenizerConfig(TokenizerType.bpe, vocab_size=90, joint=False)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Return a run with a best checkpoint of an untrained model without tying, and one vocabulary per side."""
    folder = tmp_path_factory.mktemp("base")
    trainer, run = begin(config(folder, SMALL, APART, TrainConfig()), folder / "run")
    for parameter in trainer.model.parameters():
        torch.nn.init.uniform_(parameter, 1, 2)  # far from the initial values of any other model
    save_checkpoint(run.checkpoints, Checkpoint(7, weights(trainer.model), run=run.identity), ["best"])
    return run


def sentences(trainer: Trainer, side: str = "src") -> list[list[int]]:
    """Return a side of the training set."""
    lines = getattr(trainer.batches.store, side)
    return [lines[number].tolist() for number in range(len(lines))]


def rows_by_piece(tokenizer: Tokenizer, table: torch.Tensor) -> dict[str, list[float]]:
    return dict(zip(tokenizer.pieces(range(tokenizer.size)), table.tolist(), strict=True))


def fresh_weights(settings: Config, run: RunDirectory) -> dict[str, torch.Tensor]:
    """Return the random initial weights of a run."""
    torch.manual_seed(settings.seed)
    vocabulary = Vocabulary(run.tokenizer("src").size, run.tokenizer("tgt").size)
    return weights(build_model(settings.model, vocabulary))


def test_a_base_with_source_factors_gives_its_pieces_and_its_factors(tmp_path: Path) -> None:
    first = config(tmp_path, SMALL, replace(APART, joint=True), TrainConfig())
    first = replace(first, data=replace(first.data, factors=["case"]))
    trainer, old = begin(first, tmp_path / "old")
    before = weights(trainer.model)
    save_checkpoint(old.checkpoints, Checkpoint(7, before, run=old.identity), ["best"])
    train = replace(first.train, init_from=str(old.path), init_partial=True)
    deeper = model_config(**SMALL_KEYS, encoder_layers=2)
    trainer, _ = begin(replace(first, model=deeper, train=train, seed=9), tmp_path / "new")
    after = weights(trainer.model)
    assert after.keys() > before.keys()
    assert {"encoder.embedding.pieces.weight", "encoder.embedding.factors.0.weight"} < before.keys()
    assert_same({name: after[name] for name in before}, before)


@pytest.mark.parametrize("vocabulary", [InitVocabulary.extend, InitVocabulary.corpus])
def test_pieces_that_both_have_keep_their_weights_and_the_others_are_random(
    vocabulary: InitVocabulary, base: RunDirectory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    train = TrainConfig(init_from=str(base.path), init_vocabulary=vocabulary)
    settings = config(tmp_path, SMALL, replace(APART, vocab_size=110), train, seed=9)
    trainer, run = begin(settings, tmp_path / "run")
    before, fresh, after = trainer_weights(base), fresh_weights(settings, run), weights(trainer.model)
    for name in after.keys() - TABLES.keys():
        assert torch.equal(after[name], before[name]), name
    for name, side in TABLES.items():
        old, new = base.tokenizer(side), run.tokenizer(side)
        ours, theirs, random = (
            rows_by_piece(tokenizer, table[name]) for tokenizer, table in ((new, after), (old, before), (new, fresh))
        )
        added = ours.keys() - theirs.keys()
        assert added
        assert ours == {piece: random[piece] if piece in added else theirs[piece] for piece in ours}, name
        if vocabulary == InitVocabulary.extend:
            assert list(ours)[: old.size] == list(theirs)
            assert theirs.keys() <= ours.keys()
        else:
            assert new.size == 110
    facts = run.record()["initial_weights"]["base"]["pieces"]["src"]
    old, new = (set(run.tokenizer("src").pieces(range(run.tokenizer("src").size))) for run in (base, run))
    assert (facts["kept"], facts["new"], facts["dropped"]) == (len(old & new), len(new - old), len(old - new))
    text = [piece for line in sentences(trainer) for piece in run.tokenizer("src").pieces(line)]
    share = sum(piece in old for piece in text) / len(text)
    assert facts["kept_share_of_text"] == pytest.approx(share)
    assert 0 < share < 1
    said = f"{len(old & new)} pieces with weights of {base.path}, which are {100 * share:.1f} % of the training text"
    assert said in caplog.text


def trainer_weights(run: RunDirectory) -> dict[str, torch.Tensor]:
    return load_weights(run.checkpoints, "best", run.identity)[1]


def test_a_continued_run_needs_neither_the_base_nor_a_second_preparation(base: RunDirectory, tmp_path: Path) -> None:
    copy = tmp_path / "base"
    shutil.copytree(base.path, copy, symlinks=True)
    train = TrainConfig(init_from=str(copy), init_vocabulary=InitVocabulary.extend)
    settings = with_base_tokenizer(config(tmp_path, SMALL, APART, train, seed=9), str(copy))
    trainer, run = begin(settings, tmp_path / "run")
    trainer.progress.step = 1
    trainer.save(improved=True)
    shutil.rmtree(copy)
    folders = {path.resolve() for path in (tmp_path / "cache" / "prepared").iterdir() if path.is_dir()}
    prepared = prepare_corpus(settings, run)
    assert prepared.folder.resolve() in folders
    tracker = Tracker(run.path, settings.tracking, {})
    continued = build_trainer(settings, run, prepared, tracker, torch.device("cpu"), False)
    assert_same(weights(continued.model), weights(trainer.model))
    assert sentences(continued) == sentences(trainer)


OTHER_MODELS = {
    "more decoder layers": {"decoder_layers": 2},
    "wider layers": {"hidden_size": 12},
    "wider embeddings": {"embed_size": 10},
    "a lexicon": {"lexicon": True},
    "another cell above": {"decoder_cell": CellKind.gru},
    "another encoder": {"encoder": "transformer"},
}


@pytest.mark.parametrize("name", OTHER_MODELS)
def test_parameters_of_the_same_name_and_shape_are_taken(
    name: str, base: RunDirectory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    train = TrainConfig(init_from=str(base.path), init_partial=True)
    settings = config(tmp_path, model_config(**SMALL_KEYS | OTHER_MODELS[name]), APART, train, seed=9)
    trainer, run = begin(settings, tmp_path / "run")
    before, fresh, after = trainer_weights(base), fresh_weights(settings, run), weights(trainer.model)
    fitting = {key for key in before if key in after and before[key].shape == after[key].shape}
    assert_same(after, {key: before[key] if key in fitting else fresh[key] for key in after})
    facts = run.record()["initial_weights"]["base"]
    assert set(facts["taken"]) == fitting
    assert set(facts["initialised"]) == after.keys() - fitting
    assert set(facts["dropped"]) == before.keys() - fitting
    assert f"{len(fitting)} of {len(after)} parameters" in caplog.text
    assert "random initial values: " in caplog.text
    assert ("not used from" in caplog.text) == bool(before.keys() - fitting)


def test_another_model_is_refused_without_the_request(base: RunDirectory, tmp_path: Path) -> None:
    settings = config(
        tmp_path, model_config(**SMALL_KEYS, decoder_layers=2), APART, TrainConfig(init_from=str(base.path))
    )
    with pytest.raises(
        UserError, match=r"model\.decoder\.layers=1 \(here 2\); give the same, or add train\.init_partial=true"
    ):
        with_base_tokenizer(settings, str(base.path))


def test_shared_tables_are_taken_from_separate_ones_and_separate_from_shared(
    base: RunDirectory, tmp_path: Path
) -> None:
    """Two-way tying shares the target embeddings and the output; the output's rows are taken for both."""
    train = TrainConfig(init_from=str(base.path), init_partial=True)
    shared, run = begin(config(tmp_path, replace(SMALL, tying=Tying.two_way), APART, train), tmp_path / "shared")
    before, after = trainer_weights(base), weights(shared.model)
    assert torch.equal(after["output_weight"], before["output_weight"])
    assert "decoder.embedding.weight" not in after
    assert run.record()["initial_weights"]["base"]["dropped"] == ["decoder.embedding.weight"]
    save_checkpoint(run.checkpoints, Checkpoint(1, after, run=run.identity), ["best"])
    train = TrainConfig(init_from=str(run.path), init_partial=True)
    separate, _ = begin(config(tmp_path, SMALL, APART, train, seed=4), tmp_path / "separate")
    for name in ("output_weight", "decoder.embedding.weight"):
        assert torch.equal(weights(separate.model)[name], after["output_weight"])


def test_weights_of_another_shape_than_the_base_says_are_refused(base: RunDirectory, tmp_path: Path) -> None:
    copy = RunDirectory(tmp_path / "base")
    shutil.copytree(base.path, copy.path, symlinks=True)
    forged = trainer_weights(base) | {"output_bias": torch.tensor(1.0)}
    save_checkpoint(copy.checkpoints, Checkpoint(8, forged, run=copy.identity), ["best"])
    train = TrainConfig(init_from=str(copy.path), init_vocabulary=InitVocabulary.extend)
    with pytest.raises(UserError, match="do not fit the model of the run"):
        begin(config(tmp_path, SMALL, APART, train, seed=9), tmp_path / "run")


def test_frozen_random_rows_are_reported(base: RunDirectory, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train = TrainConfig(init_from=str(base.path), init_vocabulary=InitVocabulary.extend, freeze=["src_embedding"])
    trainer, run = begin(config(tmp_path, SMALL, replace(APART, vocab_size=110), train, seed=9), tmp_path / "run")
    assert not trainer.model.encoder.embedding.weight.requires_grad
    new, total = run.tokenizer("src").size - base.tokenizer("src").size, run.tokenizer("src").size
    assert f"{new} of {total} rows of encoder.embedding.weight" in caplog.text


def test_keys_of_the_initial_weights_are_refused_for_a_run_that_has_begun(base: RunDirectory) -> None:
    for key, value in (
        ("train.init_partial", True),
        ("train.init_vocabulary", "corpus"),
        ("train.pretrained_embeddings.src.file", "vectors"),
    ):
        given = {key: value, "train.init_from": "elsewhere"} if "init" in key else {key: value}
        with pytest.raises(UserError, match=r"train\.(init_from|pretrained_embeddings) has no effect on .*has begun"):
            reopen_run(str(base.path), given)
    assert reopen_run(str(base.path), {"train.freeze": ["encoder"]})[0].train.freeze == ["encoder"]


def test_a_frozen_part_that_does_not_exist_is_refused_before_the_corpus_is_prepared(tmp_path: Path) -> None:
    settings = config(tmp_path, SMALL, APART, TrainConfig(freeze=["lexicon"]))
    with pytest.raises(UserError, match=r"train\.freeze has 'lexicon'"):
        create_run(RunDirectory(tmp_path / "run"), settings)
    assert list(tmp_path.iterdir()) == []
