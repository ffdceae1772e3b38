"""Parameter counts of the presets, built without memory on PyTorch's meta device."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from hydra import compose
from torch import nn

from nmt.config import ModelConfig, conf_dir, flatten, from_hydra
from nmt.models import Seq2Seq, Vocabulary, build_model

pytestmark = pytest.mark.usefixtures("composing")
FOLDER = Path(conf_dir()) / "model"
NAMES = sorted(path.stem for path in FOLDER.glob("*20??.yaml"))


def config(name: str) -> ModelConfig:
    """Compose a preset with Hydra; the small presets build on the published ones."""
    return from_hydra(ModelConfig, compose("train", overrides=[f"model={name}"]).model)


def build(name: str, src_size: int, tgt_size: int) -> Seq2Seq:
    with torch.device("meta"):
        return build_model(config(name), Vocabulary(src_size, tgt_size))


def count(*modules: nn.Module) -> int:
    parameters: Iterable[nn.Parameter] = (parameter for module in modules for parameter in module.parameters())
    return sum(parameter.numel() for parameter in parameters)


def test_there_are_six_and_each_has_a_small_one() -> None:
    assert len(NAMES) == 6
    assert {path.stem for path in FOLDER.glob("*_small.yaml")} >= {f"{name}_small" for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_small_one_is_the_same_model_in_another_size(name: str) -> None:
    sizes = {"embed_size", "hidden_size", "encoder.direction_size", "encoder.layers", "decoder.layers", "dropout"}
    published, small = (flatten(asdict(config(preset))) for preset in (name, f"{name}_small"))
    assert {key for key in published if published[key] != small[key]} <= sizes
    assert count(build(f"{name}_small", 2000, 2000)) < 4e6


def test_sutskever_2014_has_32_million_recurrent_weights_on_each_side() -> None:
    """Compare with section 3.4: 384 million parameters in total, with 160,000 source and 80,000 target words."""
    model = build("sutskever2014", 160_000, 80_000)
    assert count(model.encoder.forwards) == pytest.approx(32e6, rel=0.002)
    assert count(model.decoder.layers) == pytest.approx(32e6, rel=0.002)
    assert count(model) == pytest.approx(384e6, rel=0.03)


def test_transformer_tiny_has_the_parameters_of_fairseqs() -> None:
    """Compare with fairseq, which has key biases (they cancel out) and no output bias: 4 + 4 layers, shared embeddings.

    Wu et al. 2021 report 2.6 million.
    """
    width, inner, words = 128, 256, 9712
    attention, feed_forward, norm = 4 * (width + 1) * width, 2 * width * inner + inner + width, 2 * width
    fairseq = words * width + 4 * (attention + feed_forward + 2 * norm) + 4 * (2 * attention + feed_forward + 3 * norm)
    assert fairseq == 2_568_192
    assert count(build("transformer_tiny", words, words)) == fairseq - 12 * width + words
