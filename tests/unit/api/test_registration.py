"""Parts registered from outside: valid in the configuration, kept by name in a run, refused where they are missing."""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from tiny_training import SHORT, SRC, TGT, WORDS
from torch import Tensor, nn
from torch.testing import assert_close

import nmt
from nmt.api.registration import BUILT_IN
from nmt.cli.app.composing import composed
from nmt.config import (
    ATTENTIONS,
    CELLS,
    DECODERS,
    ENCODERS,
    OBJECTIVES,
    Config,
    DecoderConfig,
    EncoderConfig,
    LuongDecoderConfig,
    ModelConfig,
    OptimConfig,
    RecurrentEncoderConfig,
    from_hydra,
    save_config,
)
from nmt.data import Batch, make_batch
from nmt.errors import UserError
from nmt.models import Seq2Seq, Vocabulary, build_model, decoders, encoders
from nmt.models.attention import Attention, DotAttention
from nmt.models.decoders import LuongDecoder
from nmt.models.interface import Encoded
from nmt.models.layers.cells import StepwiseLayer, build_layer
from nmt.models.layers.fused import LSTM
from nmt.models.layers.recurrent import LayerState
from nmt.run import RunDirectory
from nmt.training.build import build_objective
from nmt.training.objectives.likelihood import Objective, ObjectiveOutput, cross_entropy

PHRASEBOOK = {"data": {"phrasebook": {}}}


class CoupledLSTM(StepwiseLayer):
    """LSTM whose input gate is 1 - f."""

    gates = 3

    def cell(self, inputs: Tensor, state: LayerState) -> LayerState:
        h, c = state
        f, g, o = (inputs + self.state_product(h)).chunk(3, dim=-1)
        c = f.sigmoid() * c + (1 - f.sigmoid()) * g.tanh()
        return o.sigmoid() * c.tanh(), c


class HalfAttention(DotAttention):
    """Dot-product attention with half the scores."""

    def __init__(self, config: Any, hidden_size: int) -> None:
        super().__init__()
        self.sizes = config.heads, hidden_size

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return super().scores(query, keys) / 2


def doubled(config: Any) -> Objective:
    """Return cross-entropy times two."""
    usual = cross_entropy(config.label_smoothing)

    def objective(model: Seq2Seq, batch: Batch) -> ObjectiveOutput:
        output = usual(model, batch)
        return ObjectiveOutput(2 * output.loss, output.nll)

    return objective


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """Register the parts of this file, and forget them afterwards."""
    nmt.register_cell("coupled", CoupledLSTM)
    nmt.register_attention("half", HalfAttention)
    nmt.register_objective("doubled", doubled)
    nmt.register_encoder("words", Words, WordsConfig)
    nmt.register_decoder("own_luong", OwnLuong, OwnLuongConfig)
    yield
    for registry in (CELLS, ATTENTIONS, OBJECTIVES):
        registry.registered.clear()
    for kinds in (ENCODERS, encoders.ENCODERS, DECODERS, decoders.DECODERS):
        for name in set(kinds) - BUILT_IN["encoder"] - BUILT_IN["decoder"]:
            del kinds[name]


@dataclass
class WordsConfig(EncoderConfig):
    """Keys of `Words`."""

    kind: str = "words"
    scale: float = 1.0


class Words(nn.Module):
    """Encoder without recurrence: the memory is the scaled embeddings."""

    embedding_exponent, state_size, bound = 0.0, None, float("inf")

    def __init__(self, config: WordsConfig, model: ModelConfig, embedding: nn.Module) -> None:
        super().__init__()
        self.embedding, self.scale, self.memory_size = embedding, config.scale, model.embed_size

    def forward(self, src: Tensor, mask: Tensor) -> Encoded:
        words = self.embedding(src)
        return Encoded(memory=self.scale * words, words=words)


@dataclass
class OwnLuongConfig(LuongDecoderConfig):
    """Keys of `OwnLuong`."""

    kind: str = "own_luong"


class OwnLuong(LuongDecoder):
    """Decoder of this package under a name of its own."""


SIDES: list[dict[str, Any]] = [
    {"encoder": {"cell": "coupled"}},
    {"decoder": {"cell": "coupled"}},
    {"decoder": {"attention": "half"}},
    {"encoder": {"kind": "words", "scale": 2.0}},
    {"encoder": {"kind": "words"}, "decoder": {"kind": "transformer", "heads": 2}},
    {"decoder": {"kind": "own_luong", "input_feeding": True}},
]


def build(sides: dict[str, Any]) -> Seq2Seq:
    torch.manual_seed(1)
    sizes = {"embed_size": 8, "hidden_size": 8, "dropout": 0.0}
    config = from_hydra(Config, PHRASEBOOK, {"model": sizes | sides}).model
    return build_model(config, Vocabulary(WORDS, WORDS)).eval()


def test_a_registered_cell_is_built_and_is_an_lstm_with_tied_gates() -> None:
    layer, lstm = build_layer(RecurrentEncoderConfig(cell="coupled"), 4, 8), LSTM(4, 8)
    assert isinstance(layer, CoupledLSTM)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(torch.cat([-layer.input.weight[:8], *layer.input.weight.chunk(3)]))
        lstm.weight_hh_l0.copy_(torch.cat([-layer.state.weight[:8], *layer.state.weight.chunk(3)]))
        lstm.bias_ih_l0.zero_()
    x = torch.randn(5, 2, 4)
    assert_close(layer(x)[0], lstm(x)[0])


@pytest.mark.parametrize("sides", SIDES)
def test_a_model_of_registered_parts_decodes_a_sequence_as_its_steps(sides: dict[str, Any]) -> None:
    model = build(sides)
    batch = make_batch(SRC[:4], TGT[:4], range(4))
    with torch.no_grad():
        whole = model(batch.src, batch.src_mask, batch.tgt_in).log_softmax(dim=-1)
        state = model.encode(batch.src, batch.src_mask)
        for row, tokens in zip(whole, batch.tgt_in, strict=True):
            log_probs, state, _ = model.step(tokens, state)
            assert_close(log_probs, row)


def test_a_registered_encoder_has_keys_of_its_own_and_its_output_is_the_hidden_states() -> None:
    model, batch = build({"encoder": {"kind": "words", "scale": 3.0}}), make_batch(SRC[:4], TGT[:4], range(4))
    assert isinstance(model.encoder, Words)
    expected = 3 * model.encoder.embedding(batch.src)
    assert torch.equal(model.hidden_states(batch.src, batch.src_mask), expected)
    with pytest.raises(UserError, match=r"cell is not a key of the kind words; .* kind, layers, scale"):
        build({"encoder": {"kind": "words", "cell": "lstm"}})


def test_the_command_line_chooses_registered_encoders_decoders_and_cells() -> None:
    overrides = [
        "model/encoder=words",
        "model.encoder.scale=2",
        "model/decoder=own_luong",
        "model.decoder.cell=coupled",
    ]
    with composed("train", overrides) as cfg:
        model = from_hydra(Config, cfg).model
    assert model.encoder == WordsConfig(scale=2.0)
    assert isinstance(model.decoder, OwnLuongConfig)
    assert model.decoder.cell == "coupled"


def test_a_registered_attention_receives_the_configuration_and_the_width() -> None:
    (attention,) = [
        module
        for module in build({"decoder": {"attention": "half", "heads": 2}}).modules()
        if isinstance(module, HalfAttention)
    ]
    assert attention.sizes == (2, 8)


def test_a_registered_objective_is_what_the_training_minimises() -> None:
    train = from_hydra(Config, PHRASEBOOK, {"train": {"objective": "doubled"}}).train
    objectives = [
        build_objective(config, OptimConfig(), None, "none", lambda: 0)  # type: ignore[arg-type]
        for config in (SHORT, train)
    ]
    model, batch = build({}), make_batch(SRC[:4], TGT[:4], range(4))
    usual, own = (objective(model, batch) for objective in objectives)
    assert_close(own.loss, 2 * usual.loss)
    assert_close(own.nll, usual.nll)


def test_checks_of_the_configuration_follow_the_registered_cell() -> None:
    class Memoryless(CoupledLSTM):
        states = 1
        recurrent = ()

    nmt.register_cell("memoryless", Memoryless)
    for key, said in {"zoneout_c": "has no c", "weight_drop": "has no recurrent matrix"}.items():
        build({"encoder": {"cell": "coupled", key: 0.1}})
        with pytest.raises(UserError, match=said):
            build({"encoder": {"cell": "memoryless", key: 0.1}})


@pytest.mark.parametrize(
    ("registry", "key", "name"),
    [
        (CELLS, "model.encoder.cell", "coupled"),
        (ATTENTIONS, "model.decoder.attention", "half"),
        (OBJECTIVES, "train.objective", "doubled"),
    ],
)
def test_a_run_whose_part_is_not_registered_says_which_and_what_to_import(
    registry: Any, key: str, name: str, tmp_path: Path
) -> None:
    config = from_hydra(Config, PHRASEBOOK, OmegaConf.from_dotlist([f"{key}={name}"]))
    save_config(config, tmp_path / "config.yaml")
    run = RunDirectory(tmp_path)
    assert attrgetter(key)(run.config()) == name
    del registry.registered[name]
    with pytest.raises(UserError) as caught:
        run.config()
    message = str(caught.value)
    assert f"{key} is '{name}', which is neither built in ({registry.builtin[0]}, " in message
    assert f"import the module that calls nmt.register_{registry.noun}('{name}', ...)" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("noun", "kinds", "name"), [("encoder", ENCODERS, "words"), ("decoder", DECODERS, "own_luong")]
)
def test_a_run_whose_side_is_not_registered_says_which_and_what_to_import(
    noun: str, kinds: dict[str, Any], name: str, tmp_path: Path
) -> None:
    save_config(from_hydra(Config, PHRASEBOOK, {"model": {noun: {"kind": name}}}), tmp_path / "config.yaml")
    run = RunDirectory(tmp_path)
    assert getattr(run.config().model, noun).kind == name
    del kinds[name]
    with pytest.raises(UserError) as caught:
        run.config()
    assert f"model.{noun}.kind is {name}; allowed: {next(iter(kinds))}, " in str(caught.value)
    assert f"import the module that calls nmt.register_{noun}('{name}', ...)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_definition_that_runs_twice_replaces_the_first() -> None:
    def define() -> type[CoupledLSTM]:
        class Again(CoupledLSTM):
            pass

        return Again

    nmt.register_cell("again", define())
    second = define()
    nmt.register_cell("again", second)
    assert CELLS.find("again") is second


@pytest.mark.parametrize(
    ("register", "said"),
    [
        (lambda: nmt.register_cell("lstm", CoupledLSTM), "the cell lstm is built in"),
        (lambda: nmt.register_cell("coupled", LSTM), "the cell coupled is registered already, as "),
        (lambda: nmt.register_cell("Big Cell", CoupledLSTM), "'Big Cell' cannot be the name of a registered cell"),
        (lambda: nmt.register_attention("null", HalfAttention), "'null' cannot be the name"),
        (
            lambda: nmt.register_cell("x", HalfAttention),
            "is not a subclass of nmt.models.layers.recurrent.RecurrentLayer",
        ),
        (lambda: nmt.register_attention("x", Attention()), "is not a subclass of nmt.models.attention.Attention"),
        (lambda: nmt.register_encoder("recurrent", Words, WordsConfig), "the encoder recurrent is built in"),
        (lambda: nmt.register_encoder("other", Words, WordsConfig), "has to be a dataclass with kind: str = 'other'"),
        (lambda: nmt.register_encoder("words", OwnLuong, WordsConfig), "the encoder words is registered already, as "),
        (
            lambda: nmt.register_encoder("x", Words, OwnLuongConfig),
            "is not a subclass of nmt.config.encoder.EncoderConfig",
        ),
        (lambda: nmt.register_decoder("x", nn.Linear, DecoderConfig), "has no attribute embedding_exponent"),
        (
            lambda: nmt.register_decoder("x", doubled, DecoderConfig),
            "is not a subclass of torch.nn.modules.module.Module",
        ),
        (lambda: nmt.register_objective("x", "nmt.cross_entropy"), "'nmt.cross_entropy' cannot be called"),
    ],
)
def test_a_wrong_registration_is_an_error_of_one_line(register: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        register()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_is_found_by_the_name_of_a_module() -> None:
    with pytest.raises(UserError, match=r"the cell 'os\.system' is neither built in"):
        CELLS.find("os.system")
