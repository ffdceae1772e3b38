"""Parts registered from outside: valid in the configuration, kept by name in a run, refused where they are missing."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import SHORT, SRC, TGT, WORDS
from torch import Tensor
from torch.testing import assert_close

import nmt
from nmt.config import ATTENTIONS, CELLS, OBJECTIVES, Config, ModelConfig, OptimConfig, from_hydra, save_config
from nmt.data import BOS_ID, PAD_ID, Batch, make_batch
from nmt.errors import UserError
from nmt.models import Seq2Seq, Vocabulary, build_model
from nmt.models.attention import Attention, DotAttention
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
        self.sizes = config.hidden_size, hidden_size

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
    yield
    for registry in (CELLS, ATTENTIONS, OBJECTIVES):
        registry.registered.clear()


def build(**settings: Any) -> Seq2Seq:
    torch.manual_seed(1)
    config = ModelConfig(embed_size=8, hidden_size=8, dropout=0.0, **settings)
    return build_model(config, Vocabulary(WORDS, WORDS, PAD_ID, BOS_ID)).eval()


def test_a_registered_cell_is_built_and_is_an_lstm_with_tied_gates() -> None:
    layer, lstm = build_layer(ModelConfig(cell="coupled"), 4, 8), LSTM(4, 8)
    assert isinstance(layer, CoupledLSTM)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(torch.cat([-layer.input.weight[:8], *layer.input.weight.chunk(3)]))
        lstm.weight_hh_l0.copy_(torch.cat([-layer.state.weight[:8], *layer.state.weight.chunk(3)]))
        lstm.bias_ih_l0.zero_()
    x = torch.randn(5, 2, 4)
    assert_close(layer(x)[0], lstm(x)[0])


@pytest.mark.parametrize(
    "settings", [{"cell": "coupled"}, {"attention": "half"}, {"cell": "coupled", "bridge": "zero"}]
)
def test_a_model_of_registered_parts_decodes_a_sequence_as_its_steps(settings: dict[str, Any]) -> None:
    config = from_hydra(Config, PHRASEBOOK, {"model": settings}).model
    assert all(getattr(config, key) == value for key, value in settings.items())
    model = build(**settings)
    batch = make_batch(SRC[:4], TGT[:4], range(4))
    with torch.no_grad():
        whole = model(batch.src, batch.src_mask, batch.tgt_in).log_softmax(dim=-1)
        state = model.encode(batch.src, batch.src_mask)
        for row, tokens in zip(whole, batch.tgt_in, strict=True):
            log_probs, state, _ = model.step(tokens, state)
            assert_close(log_probs, row)


def test_a_registered_attention_receives_the_configuration_and_the_width() -> None:
    (attention,) = [module for module in build(attention="half").modules() if isinstance(module, HalfAttention)]
    assert attention.sizes == (8, 8)


def test_a_registered_objective_is_what_the_training_minimises() -> None:
    train = from_hydra(Config, PHRASEBOOK, {"train": {"objective": "doubled"}}).train
    objectives = [
        build_objective(config, OptimConfig(), None, "none", lambda: 0)  # type: ignore[arg-type]
        for config in (SHORT, train)
    ]
    model, batch = build(), make_batch(SRC[:4], TGT[:4], range(4))
    usual, own = (objective(model, batch) for objective in objectives)
    assert_close(own.loss, 2 * usual.loss)
    assert_close(own.nll, usual.nll)


def test_checks_of_the_configuration_follow_the_registered_cell() -> None:
    class Memoryless(CoupledLSTM):
        states = 1
        recurrent = ()

    nmt.register_cell("memoryless", Memoryless)
    for key, said in {"zoneout_c": "has no c", "weight_drop": "has no recurrent matrix"}.items():
        from_hydra(Config, PHRASEBOOK, {"model": {"cell": "coupled", key: 0.1}})
        with pytest.raises(UserError, match=said):
            from_hydra(Config, PHRASEBOOK, {"model": {"cell": "memoryless", key: 0.1}})


@pytest.mark.parametrize(
    ("registry", "key", "name"),
    [
        (CELLS, "model.cell", "coupled"),
        (ATTENTIONS, "model.attention", "half"),
        (OBJECTIVES, "train.objective", "doubled"),
    ],
)
def test_a_run_whose_part_is_not_registered_says_which_and_what_to_import(
    registry: Any, key: str, name: str, tmp_path: Path
) -> None:
    part, _, field = key.partition(".")
    path = tmp_path / "config.yaml"
    save_config(from_hydra(Config, PHRASEBOOK, {part: {field: name}}), path)
    assert re.search(rf"^  {field}: {name}$", path.read_text(encoding="utf-8"), re.MULTILINE)
    run = RunDirectory(tmp_path)
    assert getattr(getattr(run.config(), part), field) == name
    del registry.registered[name]
    with pytest.raises(UserError) as caught:
        run.config()
    message = str(caught.value)
    assert f"{key} is '{name}', which is neither built in ({registry.builtin[0]}, " in message
    assert f"import the module that calls nmt.register_{registry.noun}('{name}', ...)" in message
    assert "\n" not in message


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
