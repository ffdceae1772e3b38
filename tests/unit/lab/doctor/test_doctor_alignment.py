"""Alignment and language checks: shifts and their first lines, unrelated sides, swapped sides, other languages."""

from pathlib import Path

import pytest
from damaged_corpus import TRAIN, cheap, config

from nmt.lab.doctor.findings import Verdict
from nmt.lab.doctor.language import Languages
from nmt.lab.doctor.scan import Entry


@pytest.mark.parametrize(("shift", "line"), [(1, 400), (-1, 400), (2, 700)])
def test_a_shift_is_located(tmp_path: Path, shift: int, line: int) -> None:
    src, tgt = [pair[0] for pair in TRAIN], [pair[1] for pair in TRAIN]
    if shift > 0:
        tgt[line - 1 : line - 1] = ["x"] * shift  # lines that exist in the target only
    else:
        del tgt[line - 1 : line - 1 - shift]
    finding = cheap(config(tmp_path, list(zip(src, tgt, strict=False))), alignment=True)["alignment"]
    assert finding.verdict == Verdict.bad
    assert f"shifted by {shift:+d} lines" in finding.measured
    found = int(finding.lines[0].partition(":")[2])
    assert abs(found - line) <= 3


def test_a_corpus_shifted_from_its_first_line_and_one_of_unrelated_sides(tmp_path: Path) -> None:
    later = [(src, tgt) for (src, _), (_, tgt) in zip(TRAIN[1:], TRAIN, strict=False)]
    found = cheap(config(tmp_path, TRAIN), alignment=True)["alignment"]
    assert found.value is not None
    assert found.value > 0.95
    finding = cheap(config(tmp_path, later), alignment=True)["alignment"]
    assert finding.verdict == Verdict.bad
    assert "lines 1 to" in finding.measured
    assert "shifted by +1 lines" in finding.measured
    unrelated = [(src, TRAIN[(i * 379 + 50) % 1000][1]) for i, (src, _) in enumerate(TRAIN)]
    finding = cheap(config(tmp_path, unrelated), alignment=True)["alignment"]
    assert finding.verdict == Verdict.bad
    assert "match no nearby line" in finding.measured
    assert finding.value is not None
    assert finding.value < 0.65


def test_languages_and_swapped_sides() -> None:
    languages = Languages("en", "de")
    entries = [Entry(i, *pair) for i, pair in enumerate(TRAIN[:60], start=1)]
    languages.look_at("train", entries)
    languages.look_at("valid", [Entry(line, tgt, src) for line, src, tgt in entries])
    languages.look_at("test", [Entry(line, src, src) for line, src, _ in entries])
    swapped, other = languages.findings()
    assert swapped.verdict == other.verdict == Verdict.bad
    assert swapped.value is not None
    assert swapped.value > 0.95
    assert swapped.lines[0].startswith("valid:")
    assert other.lines[0].startswith("test.tgt:")
    assert languages.swapped["train"].count == languages.other["train.src"].count == 0
