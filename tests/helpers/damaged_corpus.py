"""A corpus in files, damaged as a test wants, and all cheap checks of it."""

from pathlib import Path

from nmt.config import DataConfig, DoctorConfig, TextFiles, TokenizerConfig
from nmt.data.preprocessing.cleaning import digests
from nmt.data.preprocessing.sources import locate
from nmt.data.words import WordCounts
from nmt.lab.doctor import Finding
from nmt.lab.doctor.examine import (
    examine_alignment,
    examine_bleu,
    examine_cleaning,
    examine_files,
    examine_text,
)
from nmt.lab.doctor.leakage import Leakage, overlap
from nmt.lab.doctor.scan import Readable, SplitScan, scan
from nmt.lab.doctor.vocabulary import examine_case, examine_coverage
from nmt.phrasebook import pairs

Lines = list[tuple[str, str]]
PAIRS: Lines = [(pair.en, pair.de) for pair in pairs(1300, seed=4)]
TRAIN, VALID, TEST = PAIRS[:1000], PAIRS[1000:1150], PAIRS[1150:]


def config(folder: Path, train: Lines = TRAIN, valid: Lines = VALID, test: Lines = TEST) -> DoctorConfig:
    """A corpus in files."""
    files = {}
    for split, lines in (("train", train), ("valid", valid), ("test", test)):
        for at, side in enumerate(("en", "de")):
            text = "".join(f"{pair[at]}\n" for pair in lines)
            (folder / f"{split}.{side}").write_text(text, encoding="utf-8", newline="\n")
        files[split] = TextFiles(src=[f"{split}.en"], tgt=[f"{split}.de"])
    data = DataConfig(root=str(folder), tokenizer=TokenizerConfig(vocab_size=300), **files)
    return DoctorConfig(data=data, overfit_steps=0)


def cheap(asked: DoctorConfig) -> dict[str, Finding]:
    """All checks but languages and one batch, by their names."""
    sources = {split: Readable(source) for split, source in locate(asked.data).items()}
    held_out = {split: list(sources[split].pairs()) for split in ("valid", "test")}
    leakage = Leakage(held_out)
    words = [WordCounts(pair[at] for lines in held_out.values() for pair in lines) for at in (0, 1)]
    known = digests(pair for lines in held_out.values() for pair in lines)
    scans: dict[str, SplitScan] = {}
    for split, readable in sources.items():
        more = (leakage, (words[0], words[1])) if split == "train" else ()
        settings = asked.data.cleaning
        scans[split] = scan(split, readable, settings, known if more else set(), (2000, 1), lambda count: None, *more)
    found = [examine_files(sources), examine_alignment(sources["train"], scans["train"])]
    found += examine_text(asked, list(scans.values()))
    found.append(examine_bleu(asked.data.bleu_tokenize, [tgt for lines in held_out.values() for _, tgt in lines]))
    found += examine_cleaning(asked.data.cleaning, list(scans.values()), 300)
    found += leakage.findings(asked.data.cleaning) + overlap(held_out)
    found.append(examine_case(list(scans.values())))
    found += examine_coverage(scans["train"], [scans["valid"], scans["test"]], (words[0], words[1]))
    return {finding.check: finding for finding in found}
