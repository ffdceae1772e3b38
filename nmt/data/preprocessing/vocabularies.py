"""Tokenizers of a corpus in preparation: ready ones, or trained on a sample of the cleaned text."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from nmt.config import DataConfig, TokenizerConfig
from nmt.data.preprocessing.shard_steps import factors_file, finish, finished, repeated_in, text_files
from nmt.data.source_form import FactorCounts, SourceForm, SourceTokenizer, tag_of, with_tags, write_tokenizer
from nmt.data.store import SIDES
from nmt.data.tokenizer import Tokenizer, train_tokenizer
from nmt.data.vocabulary_extension import extend_tokenizer


def write_tokenizers(
    config: DataConfig, folder: Path, kept: list[int], pairs: int, given: dict[str, Tokenizer], extend: bool
) -> None:
    """Write the tokenizers of both sides, either the given ones or newly trained ones.

    `kept` has the number of pairs of each shard after cleaning, and `pairs` is their total number without duplicates.
    With `extend`, the given tokenizers are extended by newly trained ones of their kind.
    """
    if finished(folder, "tokenizer") is not None:
        return
    ready = with_tags(config)
    settings = {side: ready for side in SIDES if side not in given}
    if extend:
        settings = {side: replace(ready, type=given[side].kind or ready.type) for side in SIDES}
    trained = train_tokenizers(config, folder, kept, pairs, settings) if settings else {}
    tokenizers = {side: extend_tokenizer(given[side], trained[side]) for side in SIDES} if extend else given | trained
    tokenizers["src"] = with_source_form(config, folder, len(kept), tokenizers["src"])
    files = [path for side in SIDES for path in write_tokenizer(folder, side, tokenizers[side])]
    finish(folder, "tokenizer", files, {})


def train_tokenizers(
    config: DataConfig, folder: Path, kept: list[int], pairs: int, settings: Mapping[str, TokenizerConfig]
) -> dict[str, Tokenizer]:
    """Train one joint tokenizer, or one for each side that has settings, on a sample of the cleaned text."""
    form = SourceForm.of(config)
    stride = math.ceil(pairs / config.tokenizer.max_lines)
    sides = {side: sample_lines(folder, number, kept, stride) for number, side in enumerate(SIDES)}
    sides["src"] = map(form.vocabulary_text, sides["src"])
    if config.tokenizer.joint:
        joint = train_tokenizer(itertools.chain(*sides.values()), next(iter(settings.values())))
        models = dict.fromkeys(SIDES, joint)
    else:
        models = {side: train_tokenizer(sides[side], tokenizer) for side, tokenizer in settings.items()}
    return {side: Tokenizer(model) for side, model in models.items()}


def with_source_form(config: DataConfig, folder: Path, shards: int, tokenizer: Tokenizer) -> Tokenizer:
    """Return the source tokenizer with the tags and factors of the corpus, if it has any."""
    form = SourceForm.of(config)
    if form == SourceForm() or isinstance(tokenizer, SourceTokenizer):
        return tokenizer
    counts = FactorCounts(form)
    for number in range(shards if form.factors else 0):
        counts.merge(json.loads(factors_file(folder, number).read_text(encoding="utf-8")))
    target = tag_of(config.tgt_lang) if form.tags else ""
    return SourceTokenizer(tokenizer, form, counts.most_frequent(config.factor_values), target)


def sample_lines(folder: Path, side: int, kept: list[int], stride: int) -> Iterator[str]:
    """Yield each `stride`-th line of a side of the cleaned text, without duplicates of pairs in earlier shards."""
    before = 0
    for number, lines in enumerate(kept):
        unique = np.flatnonzero(~repeated_in(folder, number, lines))
        chosen = np.zeros(lines, dtype=bool)
        chosen[unique[-before % stride :: stride]] = True
        before += len(unique)
        with text_files(folder, number)[side].open("rb") as file:  # decoding all lines would take four times as long
            for line in itertools.compress(file, chosen.tolist()):
                yield line.decode("utf-8").removesuffix("\n")
