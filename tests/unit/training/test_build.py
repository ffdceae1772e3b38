"""build_trainer: the configured objective, and the weights and tokenizers of another run."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from shapes import model_config
from test_objectives import TGT, WHOLE, tiny_model
from tiny_training import assert_same, weights

from nmt.config import (
    Config,
    DataConfig,
    ObjectiveKind,
    OptimConfig,
    PhrasebookConfig,
    SamplingDecay,
    SentenceMetric,
    TokenizerConfig,
    TokenizerType,
    TrackingConfig,
    TrackingMode,
    TrainConfig,
)
from nmt.config.data import CleaningConfig, TextFiles
from nmt.data import UNK_ID, prepare
from nmt.data.subword_sampling import BPEDropout, UnigramSampler
from nmt.errors import UserError
from nmt.metrics import sentence_scores
from nmt.pipeline import create_run
from nmt.run import Checkpoint, RunDirectory, identity, prepare_corpus, save_checkpoint
from nmt.run_corpus import with_base_tokenizer
from nmt.training import Tracker, Trainer, build_trainer
from nmt.training.build import build_objective
from nmt.training.objectives import risk
from nmt.training.objectives.likelihood import TokenLoss, cross_entropy, with_weight_penalty
from nmt.training.objectives.r_drop import r_drop
from nmt.training.objectives.scheduled_sampling import scheduled_sampling

CPU = torch.device("cpu")


class Letters:
    """Stand-in for a tokenizer."""

    def decode(self, ids: list[list[int]]) -> list[str]:
        return [" ".join("abcdefghijklmnop"[i] for i in line) for line in ids]


def built(train: TrainConfig, optim: OptimConfig | None = None, step: int = 0) -> float:
    """Return the loss of the built objective for a seeded model."""
    model = tiny_model()
    for part in (model.encoder, model.decoder):
        part.dropout.probability = 0.3
    torch.manual_seed(2)
    return build_objective(train, optim or OptimConfig(), Letters(), "none", lambda: step)(model, WHOLE).loss.item()


def expected(objective: object) -> float:
    model = tiny_model()
    for part in (model.encoder, model.decoder):
        part.dropout.probability = 0.3
    torch.manual_seed(2)
    return objective(model, WHOLE).loss.item()


def test_every_key_has_its_part_in_the_objective() -> None:
    usual = cross_entropy(0.2)
    smoothed = TrainConfig(label_smoothing=0.2)
    assert built(smoothed) == expected(usual)
    assert built(replace(smoothed, ar=2.0, tar=1.0)) == expected(cross_entropy(0.2, 2.0, 1.0))
    assert built(smoothed, OptimConfig(l1=0.1)) == expected(with_weight_penalty(usual, 0.1, 0.0))
    assert built(smoothed, OptimConfig(l2=0.1)) == expected(with_weight_penalty(usual, 0.0, 0.1))
    twice = replace(smoothed, objective=ObjectiveKind.r_drop, r_drop_alpha=3.0, ar=2.0)
    assert built(twice) == expected(r_drop(TokenLoss(0.2, 2.0), 3.0))
    sampled = replace(smoothed, scheduled_sampling=SamplingDecay.linear, sampling_c=0.1)
    assert built(sampled, step=4) == expected(scheduled_sampling(usual, lambda: 0.6))
    assert built(sampled, step=0) == expected(scheduled_sampling(usual, lambda: 1.0))


@pytest.mark.parametrize("metric", list(SentenceMetric))
def test_the_risk_is_in_points_of_the_metric(metric: SentenceMetric, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use an alpha of 0, with which all candidates have the same weight."""
    drawn = [[[8, 9, 4]], [[10, 11, 4, 7, 6], [5]], [[]], [[8], [7]]]
    monkeypatch.setattr(risk, "sample", lambda *given: drawn)
    train = TrainConfig(objective=ObjectiveKind.risk, risk_metric=metric, risk_samples=2, risk_alpha=0.0)
    total = 0.0
    for reference, own in zip(TGT, drawn, strict=True):
        candidates = [reference] + [ids for ids in own if ids != reference]
        texts = Letters().decode(candidates), Letters().decode([reference] * len(candidates))
        total += sum(100 - score for score in sentence_scores(*texts, metric, "none")) / len(candidates)
    assert built(train) == pytest.approx(total, rel=1e-5)


def config(folder: Path, **train: object) -> Config:
    return Config(
        data=DataConfig(
            phrasebook=PhrasebookConfig(train=150, valid=4, test=6),
            tokenizer=TokenizerConfig(vocab_size=150),
            cache=str(folder / "cache"),
        ),
        model=model_config(embed_size=8, hidden_size=8),
        train=TrainConfig(batch_size=8, **train),
        tracking=TrackingConfig(mode=TrackingMode.disabled),
    )


def trainer_of(config: Config, run: RunDirectory) -> Trainer:
    return build_trainer(config, run, prepare_corpus(config, run), Tracker(run.path, config.tracking, {}), CPU, False)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Return a run with a best checkpoint of an untrained model."""
    folder = tmp_path_factory.mktemp("base")
    made, settings = RunDirectory(folder / "run"), config(folder)
    made.create(settings, prepare(settings.data))
    trainer = trainer_of(settings, made)
    save_checkpoint(made.checkpoints, Checkpoint(7, weights(trainer.model), run=made.identity), ["best"])
    return made


def tuning(base: RunDirectory, folder: Path) -> tuple[Config, RunDirectory]:
    """Return a new run on other sentences that starts from the base."""
    settings = config(folder, init_from=str(base.path))
    settings.data.phrasebook = PhrasebookConfig(train=100, valid=4, test=6, seed=9)
    settings.seed = 5
    run = RunDirectory(folder / "run")
    run.create(settings, prepare(settings.data, base.tokenizers()))
    return settings, run


def test_a_run_starts_with_the_weights_and_tokenizers_of_another(base: RunDirectory, tmp_path: Path) -> None:
    settings, run = tuning(base, tmp_path)
    trainer = trainer_of(settings, run)
    kept = trainer_of(base.config(), base).model
    assert trainer.progress.step == 0
    assert_same(weights(trainer.model), weights(kept))
    for side in ("src", "tgt"):
        assert run.tokenizer(side).model == base.tokenizer(side).model
    held_out = trainer.validate.store
    encoded = base.tokenizer("src").encode(run.text("valid")[0])
    assert [held_out.src[i].tolist() for i in range(len(held_out))] == encoded


def test_a_fine_tuning_that_is_continued_needs_the_base_no_more(base: RunDirectory, tmp_path: Path) -> None:
    copy = RunDirectory(tmp_path / "base")
    shutil.copytree(base.path, copy.path, symlinks=True)
    settings, run = tuning(copy, tmp_path)
    trainer = trainer_of(settings, run)
    trainer.update([trainer.batches.next()])
    trainer.progress.step = 1
    trainer.save(improved=True)
    shutil.rmtree(copy.path)
    continued = trainer_of(settings, run)
    assert continued.progress.step == 1
    assert_same(weights(continued.model), weights(trainer.model))
    ours, theirs = continued.batches.store.src, trainer.batches.store.src
    assert [list(ours[i]) for i in range(len(ours))] == [list(theirs[i]) for i in range(len(theirs))]


def test_the_configuration_takes_over_the_tokenizer_and_only_probabilities_may_differ(base: RunDirectory) -> None:
    own = Config(model=model_config(embed_size=8, hidden_size=8, dropout=0.7))
    taken = with_base_tokenizer(own, str(base.path))
    assert taken.data.tokenizer == base.config().data.tokenizer != own.data.tokenizer
    assert taken.model == own.model
    own.model.hidden_size, own.model.embed_size = 10, 12
    said = (
        r"^train\.init_from=.* has model\.embed_size=8 \(here 12\), model\.hidden_size=8 \(here 10\); give the same, "
    )
    with pytest.raises(UserError, match=said):
        with_base_tokenizer(own, str(base.path))


def test_a_vocabulary_of_ones_own_beside_that_of_the_base_is_refused(base: RunDirectory, tmp_path: Path) -> None:
    own = config(tmp_path, init_from=str(base.path))
    same = own.data.tokenizer.vocab_size
    assert with_base_tokenizer(own, str(base.path), ["data.tokenizer.vocab_size", "data.name"]).data.tokenizer
    own.data.tokenizer.vocab_size = 777
    said = rf"^data\.tokenizer\.vocab_size=777 has no effect: .* with vocab_size={same}; leave the key out, or "
    with pytest.raises(UserError, match=said):
        with_base_tokenizer(own, str(base.path), ["data.tokenizer.vocab_size"])
    assert (
        with_base_tokenizer(own, str(base.path)).data.tokenizer.vocab_size == same
    )  # the value of a file, which also serves other trainings


def test_text_that_the_vocabulary_of_the_base_cannot_write_is_refused(
    base: RunDirectory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings, _ = tuning(base, tmp_path / "other")
    for split in ("train", "valid"):
        (tmp_path / f"{split}.en").write_text("the door is open\n" * 30 + "the 家 house\n", encoding="utf-8")
        (tmp_path / f"{split}.de").write_text("die Tür ist offen\n" * 30 + "das 家 Haus\n", encoding="utf-8")
    files, held_out = (
        {key: [f"{split}.{lang}"] for key, lang in (("src", "en"), ("tgt", "de"))} for split in ("train", "valid")
    )
    cleaning = CleaningConfig(drop_duplicates=False, drop_test_pairs=False)
    settings.data = replace(
        settings.data,
        phrasebook=None,
        root=str(tmp_path),
        train=TextFiles(**files),
        valid=TextFiles(**held_out),
        cleaning=cleaning,
    )
    ids = base.tokenizer("src").encode(["the door is open"] * 30 + ["the 家 house"])
    share = sum(line.count(UNK_ID) for line in ids) / sum(map(len, ids))
    settings.train.max_unknown = share * 0.99
    run = RunDirectory(tmp_path / "made")
    with pytest.raises(
        UserError,
        match=rf"{share:.1%} of the pieces of the source text are unknown .*; add train\.init_vocabulary=extend",
    ):
        create_run(run, settings)
    assert not run.exists
    settings.train.max_unknown = 0.5
    create_run(run, settings)
    assert run.exists
    assert f"{100 * share:.2f} % of the pieces of the source text are unknown" in caplog.text


def test_weights_that_do_not_fit_are_refused(base: RunDirectory, tmp_path: Path) -> None:
    settings, run = tuning(base, tmp_path)
    settings.model = model_config(embed_size=8, hidden_size=10)
    with pytest.raises(UserError, match="do not fit the configured model"):
        trainer_of(settings, run)


def test_the_corpus_of_a_fine_tuning_has_a_folder_of_its_own(base: RunDirectory, tmp_path: Path) -> None:
    settings = config(tmp_path)
    plain, given = prepare(settings.data), prepare(settings.data, base.tokenizers())
    assert plain.folder != given.folder
    assert given.folder == prepare(settings.data, base.tokenizers()).folder
    assert identity(settings) != identity(config(tmp_path, init_from="anywhere"))


def test_characters_that_the_given_tokenizer_does_not_know_are_unknown(base: RunDirectory, tmp_path: Path) -> None:
    for split in ("train", "valid"):
        (tmp_path / f"{split}.en").write_text("the 家 house\n", encoding="utf-8")
        (tmp_path / f"{split}.de").write_text("das Haus\n", encoding="utf-8")
    data = DataConfig(root=str(tmp_path), cache=str(tmp_path / "cache"))
    for split in ("train", "valid"):
        getattr(data, split).src, getattr(data, split).tgt = [f"{split}.en"], [f"{split}.de"]
    data.cleaning.drop_test_pairs = False
    assert UNK_ID in prepare(data, base.tokenizers()).store("train").src[0].tolist()


@pytest.mark.parametrize(
    ("kind", "sampler"), [(TokenizerType.unigram, UnigramSampler), (TokenizerType.bpe, BPEDropout)]
)
def test_the_sampler_is_that_of_the_tokenizer(tmp_path: Path, kind: TokenizerType, sampler: type) -> None:
    settings = config(tmp_path, subword_sampling=0.5)
    settings.data.tokenizer.type = kind
    run = RunDirectory(tmp_path / "run")
    run.create(settings, prepare(settings.data))
    trainer = trainer_of(settings, run)
    assert set(map(type, trainer.batches.sampling.samplers)) == {sampler}
    stored = trainer.batches.store
    batch = trainer.batches.next()
    assert any(
        batch.src[batch.src_mask[:, column], column].tolist()[:-1] != stored.src[index].tolist()
        for column, index in enumerate(batch.indices)
    )
