"""Checks of source factors and translation directions against the model and the training."""

from collections.abc import Iterator

from nmt.config.data import DataConfig
from nmt.config.model import ModelConfig, Tying
from nmt.config.train import TrainConfig


def source_problems(data: DataConfig, model: ModelConfig, train: TrainConfig) -> Iterator[tuple[str, str]]:
    """Yield problems of the source factors and the directions in a model and its training."""
    size, factors = model.factor_size, data.factors
    if train.both_directions and (factors or data.directions):
        yield (
            "train.both_directions",
            "reads target sentences, which have no factors and tags; set it to 0, or leave out data.factors and "
            "data.directions",
        )
    if train.direction_temperature != 1 and not data.directions:
        yield "train.direction_temperature", "is set but data.directions is empty; leave it out"
    if size is None:
        return
    if not factors:
        yield "model.factor_size", f"is {size} but data.factors is empty; leave it out"
    if size * len(factors) >= model.embed_size:
        yield (
            "model.factor_size",
            f"is {size} for {len(factors)} factors, which leaves nothing of model.embed_size={model.embed_size} for "
            "the piece; lower it",
        )
    if model.tying == Tying.three_way:
        yield (
            "model.factor_size",
            "makes source embeddings narrower than target embeddings, which model.tying=three_way shares; use two_way, "
            "or factor_size=null",
        )
