"""Tests of the choice of encoder and decoder on the command line, by itself and with presets."""

import itertools
from collections.abc import Iterator

import pytest
from composing import composing_in, restored_readers
from hydra import compose
from hydra.errors import ConfigCompositionException

from nmt.cli.app import hydra_guard
from nmt.config import (
    DECODERS,
    ENCODERS,
    CellKind,
    Config,
    ModelConfig,
    RecurrentEncoderConfig,
    TransformerDecoderConfig,
    TransformerEncoderConfig,
    conf_dir,
    from_hydra,
)
from nmt.errors import UserError


@pytest.fixture(autouse=True, scope="module")
def _installed() -> Iterator[None]:
    with restored_readers():
        hydra_guard.install(Config)
        with composing_in(conf_dir()):
            yield


def model(*overrides: str) -> ModelConfig:
    return from_hydra(Config, compose("train", overrides=list(overrides))).model


@pytest.mark.parametrize(("encoder", "decoder"), list(itertools.product(ENCODERS, DECODERS)))
def test_each_encoder_is_chosen_with_each_decoder(encoder: str, decoder: str) -> None:
    chosen = model(f"model/encoder={encoder}", f"model/decoder={decoder}", "model.encoder.layers=3")
    assert type(chosen.encoder) is ENCODERS[encoder]
    assert type(chosen.decoder) is DECODERS[decoder]
    assert (chosen.encoder.layers, chosen.decoder.layers) == (3, 2)  # of the preset


BLOCKS = {
    **{name: {"pre_norm": True, "residual_from": 1} for name in ("rg_lru", "gla")},
    **{
        name: {"pre_norm": True, "convolution": 4, "residual_from": 1}
        for name in ("min_gru", "min_lstm", "slstm", "mlstm", "gated_delta", "delta_net", "mamba2")
    },
}
"""Keys of the blocks in which papers stack their cells."""


@pytest.mark.parametrize("cell", CellKind)
def test_the_name_of_a_cell_is_a_recurrent_encoder_with_the_block_of_its_paper(cell: CellKind) -> None:
    assert model(f"model/encoder={cell}").encoder == RecurrentEncoderConfig(cell=cell, **BLOCKS.get(cell, {}))
    assert model("model=lstm", f"model.encoder.cell={cell}").encoder.pre_norm is False


def test_a_preset_gives_the_keys_that_another_kind_has_too() -> None:
    assert model("model=gnmt2016", "model/encoder=transformer").encoder == TransformerEncoderConfig(layers=8)
    assert model("model=gnmt2016", "model/encoder=transformer").decoder == model("model=gnmt2016").decoder
    best = model("experiment=multi30k_en_de_best", "model/decoder=bahdanau").decoder
    assert (best.kind, best.attention, best.lexicon) == ("bahdanau", "multi_head_dot", True)  # type: ignore[attr-defined]
    best = model("experiment=multi30k_en_de_best", "model/decoder=transformer").decoder
    assert best == TransformerDecoderConfig(layers=2)


@pytest.mark.parametrize("key", ["encoder.heads=2", "decoder.positions=learned", "encoder.layesr=2"])
def test_a_key_that_the_kind_lacks_is_refused_on_the_command_line(key: str) -> None:
    with pytest.raises(ConfigCompositionException, match=f"Could not override 'model.{key.partition('=')[0]}'"):
        model(f"model.{key}")


def test_a_kind_set_as_a_value_is_refused() -> None:
    with pytest.raises(UserError, match=r"model.encoder.cell is not a key of the kind transformer; choose a kind as"):
        model("model.encoder.kind=transformer")
