"""Decoder states as named tensors in a fixed order: the inputs and outputs of an exported step.

B sentences with K hypotheses each, S source length.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nmt.errors import UserError
from nmt.export.settings import StateTensor
from nmt.models.decoders import RecurrentDecoder
from nmt.models.decoders.base import DecoderState
from nmt.models.decoders.convolutional import ConvolutionalState
from nmt.models.decoders.transformer import TransformerState
from nmt.models.interface import AnyDecoder

SOURCE_TENSORS = ("keys", "values", "mask", "words")
"""Fields of a recurrent decoder's state that have one row per sentence."""


def named_tensors(state: Any, decoder: AnyDecoder) -> dict[str, tuple[Tensor, StateTensor]]:
    """Return the tensors of a state by name, each with its batch axis and whether its rows are hypotheses.

    Raises:
        UserError: the decoder is not one of this package.
    """
    tensors: dict[str, tuple[Tensor, StateTensor]] = {}

    def add(name: str, tensor: Tensor | None, per_hypothesis: bool, axis: int = 0) -> None:
        if tensor is not None:
            tensors[name] = tensor, StateTensor(name, per_hypothesis, axis)

    match state:
        case DecoderState():
            for depth, layer in enumerate(state.hidden):
                for number, part in enumerate(layer):
                    add(f"hidden_{depth}_{number}", part, True)
            if isinstance(decoder, RecurrentDecoder) and decoder.input_feeding:
                add("feed", state.feed, True)
            add("coverage", state.coverage, True)
            for name in SOURCE_TENSORS:
                add(name, getattr(state, name), False)
        case TransformerState():
            for depth, (past, source) in enumerate(zip(state.past, state.source, strict=True)):
                for name, tensor in zip(("keys", "values"), past, strict=True):
                    add(f"past_{name}_{depth}", tensor, True)
                for name, tensor in zip(("keys", "values"), source, strict=True):
                    add(f"source_{name}_{depth}", tensor, False)
            add("mask", state.mask, False)
        case ConvolutionalState():
            for depth, window in enumerate(state.windows):
                add(f"window_{depth}", window, True, axis=1)
            for name in ("keys", "values", "mask"):
                add(name, getattr(state, name), False)
        case _:
            raise UserError(f"the decoder {type(decoder).__name__} cannot be exported; translate from the run")
    return tensors


def state_of(tensors: dict[str, Tensor], like: Any, time: Tensor) -> Any:
    """Return a state made of named tensors.

    Args:
        tensors: the tensors of `named_tensors`.
        like: a state of the same decoder, which gives the structure.
        time: number of tokens decoded so far, a tensor without dimensions.
    """
    steps: Any = time
    match like:
        case DecoderState():
            hidden = [
                tuple(tensors[f"hidden_{depth}_{number}"] for number in range(len(layer)))
                for depth, layer in enumerate(like.hidden)
            ]
            rows = hidden[0][0].size(0)
            feed = tensors.get("feed", torch.zeros(0).new_zeros(rows, like.feed.size(1)))
            source = {name: tensors.get(name) for name in (*SOURCE_TENSORS, "coverage")}
            return replace(like, hidden=hidden, feed=feed, time=steps, **source)
        case TransformerState():
            layers = range(len(like.past))
            past = [(tensors[f"past_keys_{depth}"], tensors[f"past_values_{depth}"]) for depth in layers]
            source_pairs = [(tensors[f"source_keys_{depth}"], tensors[f"source_values_{depth}"]) for depth in layers]
            return TransformerState(source_pairs, tensors["mask"], past)
        case ConvolutionalState():
            windows = [tensors[f"window_{depth}"] for depth in range(len(like.windows))]
            return ConvolutionalState(tensors["keys"], tensors["values"], tensors["mask"], windows, steps)
        case _:
            raise TypeError(type(like))
