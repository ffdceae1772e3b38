"""Corpora in files for tests of the doctor, and a call of all fast checks."""

from pathlib import Path

from nmt.config import DataConfig, DoctorConfig, TextFiles, TokenizerConfig
from nmt.data.preprocessing.cleaning import digests
from nmt.data.preprocessing.sources import locate
from nmt.data.words import WordCounts
from nmt.lab.doctor.examine import (
    examine_alignment,
    examine_bleu,
    examine_cleaning,
    examine_files,
    examine_text,
)
from nmt.lab.doctor.findings import Finding
from nmt.lab.doctor.leakage import Leakage, overlap
from nmt.lab.doctor.scan import Readable, SplitScan, scan
from nmt.lab.doctor.vocabulary import examine_case, examine_coverage
from nmt.phrasebook import pairs

Lines = list[tuple[str, str]]
PAIRS: Lines = [(pair.en, pair.de) for pair in pairs(1300, seed=4)]
TRAIN, VALID, TEST = PAIRS[:1000], PAIRS[1000:1150], PAIRS[1150:]


def config(folder: Path, train: Lines = TRAIN, valid: Lines = VALID, test: Lines = TEST) -> DoctorConfig:
    """Write a corpus to files and return its configuration."""
    files = {}
    for split, lines in (("train", train), ("valid", valid), ("test", test)):
        for at, side in enumerate(("en", "de")):
            text = "".join(f"{pair[at]}\n" for pair in lines)
            (folder / f"{split}.{side}").write_text(text, encoding="utf-8", newline="\n")
        files[split] = TextFiles(src=[f"{split}.en"], tgt=[f"{split}.de"])
    data = DataConfig(root=str(folder), tokenizer=TokenizerConfig(vocab_size=300), **files)
    return DoctorConfig(data=data, overfit_steps=0)


def cheap(doctor: DoctorConfig, alignment: bool = False) -> dict[str, Finding]:
    """Run the checks that train nothing, and the alignment if `alignment`; return the findings by name."""
    data = doctor.data
    sources = {split: Readable(source) for split, source in locate(data).items()}
    held_out = {split: list(sources[split].pairs()) for split in ("valid", "test")}
    leakage = Leakage(held_out)
    words = [WordCounts(pair[at] for lines in held_out.values() for pair in lines) for at in (0, 1)]
    known = digests(pair for lines in held_out.values() for pair in lines)
    scans: dict[str, SplitScan] = {}
    for split, readable in sources.items():
        more = (leakage, (words[0], words[1])) if split == "train" else ()
        digest_set = known if more else set()
        scans[split] = scan(split, readable, data.cleaning, digest_set, (2000, 1), lambda count: None, *more)
    findings = [examine_files(sources)]
    if alignment:
        findings.append(examine_alignment(sources["train"], scans["train"]))
    findings += examine_text(doctor, list(scans.values()))
    findings.append(examine_bleu(data.bleu_tokenize, [tgt for lines in held_out.values() for _, tgt in lines]))
    findings += examine_cleaning(data.cleaning, list(scans.values()), 300)
    findings += leakage.findings(data.cleaning) + overlap(held_out)
    findings.append(examine_case(list(scans.values())))
    findings += examine_coverage(scans["train"], [scans["valid"], scans["test"]], (words[0], words[1]))
    return {finding.check: finding for finding in findings}
