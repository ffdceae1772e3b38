"""Checks of deliberately damaged corpora: each finding names the damage and its lines; a clean corpus has none."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from damaged_corpus import TEST, TRAIN, VALID, Lines, cheap, config

from nmt.data.preprocessing.cleaning import CleaningReport, clean, digests
from nmt.errors import UserError
from nmt.lab.doctor.examine import examine
from nmt.lab.doctor.findings import Verdict
from nmt.lab.doctor.leakage import Leakage
from nmt.lab.doctor.report import write_findings


def test_a_clean_corpus_has_nothing_bad_and_every_check_has_a_row(tmp_path: Path) -> None:
    findings = examine(config(tmp_path), torch.device("cpu"))
    assert [finding for finding in findings if finding.verdict != Verdict.ok] == []
    assert len({finding.check for finding in findings}) == len(findings) == 28
    (tmp_path / "out").mkdir()
    write_findings("corpus", findings, tmp_path / "out")
    saved = json.loads((tmp_path / "out" / "doctor.json").read_text(encoding="utf-8"))
    assert [entry["check"] for entry in saved["findings"]] == [finding.check for finding in findings]
    assert "| alignment | ok |" in (tmp_path / "out" / "doctor.md").read_text(encoding="utf-8")


def every(step: int, change: Callable[[str, str], tuple[str, str]]) -> Lines:
    """Return the training set with every `step`-th pair changed, from line 10."""
    return [change(*pair) if (i + 1) % step == 0 and i >= 9 else pair for i, pair in enumerate(TRAIN)]


DAMAGES: dict[str, tuple[int, Callable[[str, str], tuple[str, str]]]] = {
    "encoding": (10, lambda src, tgt: (src, f"{tgt} schön".encode().decode("cp1252"))),
    "markup": (10, lambda src, tgt: (f"{src} &amp; more", tgt)),
    "control characters": (10, lambda src, tgt: (src, f"{tgt}\u200b")),
    "normalisation": (10, lambda src, tgt: (src, f"{tgt} scho\u0308n")),
    "tokenised": (2, lambda src, tgt: (f"{src} well , yes .", tgt)),
    "numbers": (10, lambda src, tgt: (f"{src} 12", f"{tgt} 34")),
    "addresses": (10, lambda src, tgt: (f"{src} www.one.org", f"{tgt} www.two.org")),
    "empty lines": (10, lambda src, tgt: (src, " ")),
    "too long": (5, lambda src, tgt: (src + " and" * 150, tgt + " und" * 150)),
    "length ratio": (5, lambda src, tgt: ("No.", tgt * 6)),
    "copied source": (5, lambda src, tgt: (src, src)),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_lines_are_found_and_named(tmp_path: Path, name: str) -> None:
    step, change = DAMAGES[name]
    finding = cheap(config(tmp_path, every(step, change)))[name]
    assert finding.verdict == Verdict.bad
    first = [line for line in range(10, 1001) if line % step == 0][:3]
    assert [int(line.partition(":")[2]) for line in finding.lines] == first
    assert finding.lines[0].startswith("train")
    assert finding.remedy


def test_leaks_equal_loose_and_near(tmp_path: Path) -> None:
    leaks = [(src.upper(), tgt.replace(".", " !")) for src, tgt in TEST[:30]]
    sources = [(src, f"Nein {i}") for i, (src, _) in enumerate(VALID[:45])]
    near = [(f"{src[:-1]} as well.", f"{tgt} auch") for src, tgt in TEST[50:] if len(src.split()) > 12]
    findings = cheap(config(tmp_path, [*TRAIN, *TEST[30:40], *leaks, *sources, *near]))
    assert findings["leakage: pairs"].measured.startswith("test: 27 % ")  # 30 and 10 of 150
    assert findings["leakage: pairs"].verdict == Verdict.bad
    assert findings["leakage: pairs"].lines == ["test:1", "test:2", "test:3"]
    assert findings["leakage: sources"].measured.startswith("valid: 30 % ")
    assert findings["leakage: sources"].verdict == Verdict.bad
    assert findings["leakage: near"].verdict == Verdict.look
    assert findings["held-out pairs in train"].measured.endswith("(10 of 300)")
    assert findings["held-out pairs in train"].verdict == Verdict.look  # preparation drops them
    assert findings["held-out pairs in train"].lines == ["train:1001", "train:1002", "train:1003"]


def test_the_remedy_of_leaked_sources_removes_them(tmp_path: Path) -> None:
    leaked = [(src.upper(), f"Nein {i}") for i, (src, _) in enumerate(VALID[:45])]
    leaked += [(src, tgt.lower()) for src, tgt in VALID[45:60]]
    doctor = config(tmp_path, [*TRAIN, *leaked])
    for name in ("leakage: pairs", "leakage: sources"):
        assert "data.cleaning.drop_test_sources=true" in cheap(doctor)[name].remedy
    assert cheap(doctor)["leakage: sources"].verdict == Verdict.bad
    doctor.data.cleaning.drop_test_sources = True
    finding = cheap(doctor)["leakage: sources"]
    assert finding.verdict == Verdict.look
    assert finding.remedy == "preparation drops them: leave data.cleaning.drop_test_sources on"
    pairs = list(
        zip(*((tmp_path / f"train.{side}").read_text().split("\n")[:-1] for side in ("en", "de")), strict=True)
    )
    kept = list(clean(pairs, doctor.data.cleaning, digests([*VALID, *TEST]), CleaningReport()))
    known = Leakage({"valid": VALID, "test": TEST})
    for line, pair in enumerate(kept, start=1):
        known.add(line, *pair)
    assert known.met["sources"] == {}


def test_what_the_splits_do_not_share(tmp_path: Path) -> None:
    lowered = [(src.lower(), tgt.lower()) for src, tgt in TRAIN]
    assert cheap(config(tmp_path, lowered))["case"].verdict == Verdict.bad
    equal = cheap(config(tmp_path))["case"]
    assert (equal.verdict, equal.value, equal.measured.count("train.")) == (Verdict.ok, 0.0, 1)
    russian = [(src, "Привет всем") for src, _ in VALID]
    findings = cheap(config(tmp_path, valid=russian, test=[*VALID[:100], *TEST]))
    assert findings["characters"].verdict == Verdict.bad
    assert findings["characters"].lines[0] == "valid.tgt:1"
    assert findings["words"].value == 1.0
    assert findings["duplicates"].verdict == Verdict.ok
    overlapping = cheap(config(tmp_path, valid=VALID, test=[*VALID[:100], *TEST]))
    assert overlapping["valid and test"].verdict == Verdict.bad
    assert cheap(config(tmp_path, TRAIN[:100] * 10))["duplicates"].verdict == Verdict.bad


def test_a_side_without_spaces_has_characters_to_look_for_and_no_words(tmp_path: Path) -> None:
    han = str.maketrans({chr(code): chr(code + 0x4E00) for code in range(0x30, 0x180)} | {" ": ""})
    one_side, both_sides = (
        [
            [(src.translate(han) if both else src, tgt.translate(han)) for src, tgt in pairs]
            for pairs in (TRAIN, VALID, TEST)
        ]
        for both in (False, True)
    )
    findings = cheap(config(tmp_path, *one_side), alignment=True)
    assert findings["alignment"].verdict == findings["words"].verdict == Verdict.ok
    assert ".src" in findings["words"].measured
    findings = cheap(config(tmp_path, *both_sides), alignment=True)
    assert findings["alignment"].verdict == findings["words"].verdict == Verdict.ok
    assert findings["words"].value is None
    assert cheap(config(tmp_path, both_sides[0]))["characters"].verdict == Verdict.bad


@pytest.mark.parametrize("damage", ["cut", "bytes", "shorter"])
def test_damaged_files_are_bad_and_what_comes_before_is_examined(tmp_path: Path, damage: str) -> None:
    doctor = config(tmp_path)
    path = tmp_path / "train.de"
    content = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(gzip.compress(content)[:-2000])
        case "bytes":
            path.write_bytes(content[:30_000] + b"\xff" + content[30_000:])
        case "shorter":
            path.write_bytes(b"".join(content.splitlines(keepends=True)[:900]))
    findings = cheap(doctor, alignment=True)
    assert findings["files"].verdict == Verdict.bad
    assert "train.de" in findings["files"].remedy
    assert findings["alignment"].verdict == Verdict.ok
    path.unlink()
    with pytest.raises(UserError, match=r"train\.de does not exist"):
        examine(doctor, torch.device("cpu"))
