"""The checks that train: a vocabulary, and a model that learns one batch by heart."""

import math
from pathlib import Path

import pytest
import torch
from damaged_corpus import PAIRS, TRAIN, config

from nmt.data.preprocessing.sources import locate
from nmt.data.words import WordCounts, words_of
from nmt.lab.doctor import Verdict
from nmt.lab.doctor.examine import examine_sample
from nmt.lab.doctor.scan import Readable, scan


def test_a_vocabulary_that_the_corpus_cannot_fill_and_one_batch(tmp_path: Path) -> None:
    asked = config(tmp_path, TRAIN[:300])
    asked.overfit_steps = 40
    asked.model.hidden_size = asked.model.embed_size = 32
    scans = {}
    for split, source in locate(asked.data).items():
        scans[split] = scan(split, Readable(source), asked.data.cleaning, set(), (2000, 1), lambda count: None)
    words = (WordCounts([]), WordCounts([]))
    for side in words:
        side.counts = dict.fromkeys({w for pair in PAIRS for line in pair for w in words_of(line)}, 1)
    found = {f.check: f for f in examine_sample(asked, scans, words, torch.device("cpu"))}
    assert found["vocabulary"].verdict == Verdict.ok
    assert found["one batch"].value is not None
    assert found["one batch"].value < 4
    asked.overfit_steps = 1
    one_step = {f.check: f for f in examine_sample(asked, scans, words, torch.device("cpu"))}["one batch"]
    assert one_step.verdict == Verdict.bad
    assert one_step.value == pytest.approx(math.log(300), abs=0.3)  # knows nothing yet: as good as equal chances
    assert "overfit_steps" in one_step.remedy
    asked.data.tokenizer.vocab_size = 20_000
    found = {f.check: f for f in examine_sample(asked, scans, words, torch.device("cpu"))}
    assert found["vocabulary"].verdict == Verdict.bad
    assert "data.tokenizer.vocab_size=20000" in found["vocabulary"].remedy
