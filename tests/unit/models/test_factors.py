"""Embeddings of source factors: compared with the equations, in every encoder, and learning what only they say."""

import pytest
import torch
from torch import Tensor

from nmt.config import (
    ENCODERS,
    Config,
    ModelConfig,
    Tying,
    from_hydra,
)
from nmt.data import make_batch
from nmt.errors import UserError
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.models.embedding import Embedding, FactoredEmbedding
from nmt.training.initial_weights import embedding_table
from nmt.training.objectives.likelihood import cross_entropy

PIECES, SIZES = 20, (5, 3)
PLACES = [(7, 2, 1), (7, 4, 2), (19, 0, 0), (0, 0, 0)]
IDS = [piece + PIECES * (first + SIZES[0] * second) for piece, first, second in PLACES]
VOCABULARY = Vocabulary(PIECES, PIECES, SIZES)
EACH_ENCODER = pytest.mark.parametrize("encoder", list(ENCODERS))


def small(**settings: object) -> ModelConfig:
    shape: dict[str, object] = {
        "embed_size": 12,
        "hidden_size": 16,
        "dropout": 0.0,
    }
    return ModelConfig(**{**shape, **settings})


def row(table: Embedding, index: int) -> Tensor:
    return table.weight[index] * table.scale


@pytest.mark.parametrize("width", [None, 3])
def test_the_vector_is_the_sum_or_the_concatenation(width: int | None) -> None:
    torch.manual_seed(1)
    pieces = Embedding(PIECES, 8, 0.25)
    embedding = FactoredEmbedding(pieces, SIZES, width, 0.25)
    first, second = embedding.factors
    assert isinstance(first, Embedding)
    assert isinstance(second, Embedding)
    vectors = embedding(torch.tensor(IDS).view(2, 2))
    for vector, (piece, one, two) in zip(vectors.view(4, -1), PLACES, strict=True):
        parts = [row(pieces, piece), row(first, one), row(second, two)]
        expected = torch.cat(parts) if width else parts[0] + parts[1] + parts[2]
        torch.testing.assert_close(vector, expected)
    assert vectors.size(-1) == (8 + 2 * 3 if width else 8)


def test_unknown_values_say_nothing() -> None:
    torch.manual_seed(1)
    pieces = Embedding(PIECES, 8, 0.25)
    embedding = FactoredEmbedding(pieces, (4,), None, 0.25)
    torch.testing.assert_close(embedding(torch.tensor([7 + PIECES])), pieces(torch.tensor([7])))


@EACH_ENCODER
@pytest.mark.parametrize("settings", [{}, {"factor_size": 2, "tying": Tying.two_way}], ids=["added", "concatenated"])
def test_every_encoder_reads_the_factors(encoder: str, settings: dict[str, object]) -> None:
    torch.manual_seed(2)
    model = build_model(small(encoder=ENCODERS[encoder](), **settings), VOCABULARY).eval()
    outputs = []
    for first in (2, 3):
        batch = make_batch([[7 + PIECES * first, 8 + PIECES * 2]], [[6, 5]], [0])
        outputs.append(model(batch.src, batch.src_mask, batch.tgt_in))
    assert (outputs[0] - outputs[1]).abs().max() > 1e-4
    outputs[0].sum().backward()
    grads = {name: parameter.grad for name, parameter in model.named_parameters() if "factors" in name}
    assert len(grads) == 2
    assert all(grad is not None and grad.abs().sum() > 0 for grad in grads.values())


def test_pretrained_embeddings_go_into_the_table_of_the_pieces() -> None:
    model = build_model(small(tying=Tying.two_way, factor_size=2), VOCABULARY)
    assert tuple(embedding_table(model, "src").shape) == (PIECES, 12 - 2 * 2)
    assert tuple(embedding_table(model, "tgt").shape) == (PIECES, 12)


def test_with_three_way_tying_the_piece_table_is_shared() -> None:
    model = build_model(small(tying=Tying.three_way), VOCABULARY)
    tables = [parameter for parameter in model.parameters() if tuple(parameter.shape) == (PIECES, 12)]
    assert len(tables) == 1
    assert model.output_weight is tables[0]


@EACH_ENCODER
def test_a_model_without_factors_is_unchanged(encoder: str) -> None:
    """Parameters keep their names, by which checkpoints store them."""
    models: list[Seq2Seq] = []
    for vocabulary in (VOCABULARY, Vocabulary(PIECES, PIECES)):
        models.append(build_model(small(encoder=ENCODERS[encoder](), tying=Tying.two_way), vocabulary))
    names = [{name for name, _ in model.named_parameters()} for model in models]
    assert "encoder.embedding.weight" in names[1]
    assert not any("factor" in name for name in names[1])
    assert names[0] - names[1] == {
        "encoder.embedding.pieces.weight", "encoder.embedding.factors.0.weight", "encoder.embedding.factors.1.weight"
    }  # fmt: skip


def loss_with(factors: bool) -> float:
    """Train on pairs whose target only the factor determines, and return the loss in nats per token."""
    torch.manual_seed(4)
    sizes = (4,) if factors else ()
    model = build_model(small(), Vocabulary(PIECES, PIECES, sizes))
    optimizer, objective = torch.optim.Adam(model.parameters(), lr=0.02), cross_entropy(0.0)
    src = [[7 + PIECES * factor * factors, 8 + PIECES * 2 * factors] for factor in (2, 3)]
    batch = make_batch(src, [[10, 11], [12, 11]], [0, 1])
    for _ in range(80):
        optimizer.zero_grad()
        loss = objective(model, batch).loss
        loss.backward()
        optimizer.step()
    return float(loss.detach()) / batch.tokens


def test_a_model_learns_what_only_the_factor_says() -> None:
    """Without the factor, one of three tokens is a coin toss: log 2 / 3 nats per token."""
    assert loss_with(factors=True) < 0.05
    assert loss_with(factors=False) == pytest.approx(0.231, abs=0.03)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"factor_size": 4}}, r"model\.factor_size is 4 but data\.factors is empty"),
        ({"model": {"factor_size": 4}, "data": {"factors": ["case"]}}, r"model\.tying=three_way shares"),
        (
            {"model": {"factor_size": 128, "tying": "two_way"}, "data": {"factors": ["case", "pos"]}},
            r"128 for 2 factors, which leaves nothing",
        ),
        ({"train": {"both_directions": 1}, "data": {"factors": ["case"]}}, r"train\.both_directions reads target"),
        ({"train": {"direction_temperature": 5}}, r"data\.directions is empty"),
        ({"data": {"factors": ["Case"]}}, r"data\.factors has 'Case'"),
        ({"data": {"factors": ["pos", "pos"]}}, r"each name once"),
        ({"data": {"directions": [{"src_lang": "de", "tgt_lang": "fr"}]}}, r"the languages of the phrasebook"),
        ({"data": {"directions": [{"src_lang": "de", "tgt_lang": "de"}]}}, r"give two languages"),
        ({"data": {"directions": [{"src_lang": "de"}]}}, r"directions\[0\]\.tgt_lang is missing"),
        ({"data": {"directions": [{"src_lang": "de", "tgt_lang": "en"}], "most_pairs": 5}}, r"data\.most_pairs is set"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    phrasebook = {"data": {"phrasebook": {"train": 100}}}
    assert from_hydra(Config, phrasebook).model.factor_size is None
    with pytest.raises(UserError, match=message):
        from_hydra(Config, phrasebook, changes)
