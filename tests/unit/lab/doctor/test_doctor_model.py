"""Checks that train: the vocabulary and the overfitting test."""

import math
from pathlib import Path

import pytest
import torch
from damaged_corpus import PAIRS, TRAIN, config

from nmt.data.preprocessing.sources import locate
from nmt.data.words import WordCounts, split_words
from nmt.lab.doctor.examine import examine_sample
from nmt.lab.doctor.findings import Verdict
from nmt.lab.doctor.scan import Readable, scan


def test_a_vocabulary_that_the_corpus_cannot_fill_and_one_batch(tmp_path: Path) -> None:
    doctor = config(tmp_path, TRAIN[:300])
    doctor.overfit_steps = 40
    doctor.model.hidden_size = doctor.model.embed_size = 32
    scans = {}
    for split, source in locate(doctor.data).items():
        scans[split] = scan(split, Readable(source), doctor.data.cleaning, set(), (2000, 1), lambda count: None)
    words = (WordCounts([]), WordCounts([]))
    for side in words:
        side.counts = dict.fromkeys({w for pair in PAIRS for line in pair for w in split_words(line)}, 1)
    findings = {f.check: f for f in examine_sample(doctor, scans, words, torch.device("cpu"))}
    assert findings["vocabulary"].verdict == Verdict.ok
    assert findings["one batch"].value is not None
    assert findings["one batch"].value < 4
    doctor.overfit_steps = 1
    one_step = {f.check: f for f in examine_sample(doctor, scans, words, torch.device("cpu"))}["one batch"]
    assert one_step.verdict == Verdict.bad
    assert one_step.value == pytest.approx(math.log(300), abs=0.3)  # untrained: close to a uniform distribution
    assert "overfit_steps" in one_step.remedy
    doctor.data.tokenizer.vocab_size = 20_000
    findings = {f.check: f for f in examine_sample(doctor, scans, words, torch.device("cpu"))}
    assert findings["vocabulary"].verdict == Verdict.bad
    assert "data.tokenizer.vocab_size=20000" in findings["vocabulary"].remedy
