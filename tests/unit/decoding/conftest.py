"""Fixtures of the tests of decoding."""

import random

import pytest

from nmt.config import TokenizerConfig
from nmt.data import Tokenizer
from nmt.data.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def chinese() -> Tokenizer:
    numbers = random.Random(1)
    words = ["我", "你", "他", "住在", "去", "喜欢", "东京", "北京", "学校", "书", "很好", "Linux"]
    lines = ["".join(numbers.choices(words, k=6)) + "。" for _ in range(400)]
    return Tokenizer(train_tokenizer(lines, TokenizerConfig(vocab_size=90)))
