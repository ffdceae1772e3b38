"""Checks of the configured tokenizer: vocabulary size, unknown pieces, unseen characters and words, casing."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from nmt.config import DataConfig, TokenizerConfig, TokenizerType
from nmt.data import UNK_ID, Tokenizer
from nmt.data.tokenizer import ready_tokenizers, train_tokenizer
from nmt.data.words import WordCounts, split_words, unspaced
from nmt.errors import UserError
from nmt.lab.doctor.findings import EXAMPLES, Finding, Limits, Share, Tally, Verdict, percent, worst_share
from nmt.lab.doctor.scan import SIDES, Entry, SplitScan

SELDOM = 5  # occurrences below which the embedding of a piece stays near its initial value
BYTE = re.compile("<0x[0-9A-F]{2}>")
"""Piece of a byte, which text needs only for characters without a piece."""
RARE_PIECES = Limits(0.25, 0.6)
TOO_LONG = Limits(0.02, 0.2)


def build_tokenizers(config: DataConfig, scan: SplitScan) -> tuple[list[Tokenizer], Finding | None]:
    """Return the ready tokenizers, or train them on the sample; on failure, return no tokenizer and a finding."""
    ready = ready_tokenizers(config.tokenizer)
    if len(ready) == len(SIDES):
        return [ready["src"], ready["tgt"]], None
    lines = [[entry.sides[side] for entry in scan.sample[: config.tokenizer.max_lines]] for side in (0, 1)]
    try:
        if config.tokenizer.joint:
            return [Tokenizer(train_tokenizer(lines[0] + lines[1], config.tokenizer))] * 2, None
        trained = {
            side: Tokenizer(train_tokenizer(text, config.tokenizer))
            for side, text in zip(("src", "tgt"), lines, strict=True)
            if side not in ready
        }
        return [(trained | ready)[side] for side in ("src", "tgt")], None
    except UserError as error:
        if len(scan.sample) == scan.kept:
            text = f"the tokenizer cannot be trained on {scan.kept:,} pairs"
            return [], Finding("vocabulary", Verdict.bad, text, remedy=str(error))
        text = f"not judged: {len(scan.sample):,} sampled pairs are too few to train the tokenizer"
        return [], Finding("vocabulary", Verdict.look, text, remedy=f"raise sample ({error})")


def examine_vocabulary(
    config: DataConfig, train: SplitScan, held_out: Sequence[SplitScan], tokenizers: Sequence[Tokenizer]
) -> list[Finding]:
    """Check for rare pieces, pairs with more than data.max_pieces pieces, and unknown pieces in held-out sets."""
    scale = train.kept / len(train.sample)
    counts = [np.zeros(tokenizer.size) for tokenizer in tokenizers]
    long = Tally()
    for begin in range(0, len(train.sample), 1000):
        block = train.sample[begin : begin + 1000]
        sides = encode(tokenizers, block)
        for side, encoded in enumerate(sides):
            ids = np.fromiter((i for line in encoded for i in line), np.int64)
            counts[side] += np.bincount(ids, minlength=len(counts[side]))
        for entry, length in zip(block, lengths_of(sides), strict=True):
            if length > config.max_pieces:
                long.add(entry.line)
    learned = [np.array([not BYTE.fullmatch(piece) for piece in t.pieces(range(4, t.size))]) for t in tokenizers]
    if config.tokenizer.joint:
        counts = [counts[0] + counts[1]]
    seen = [count[4:][mask] for count, mask in zip(counts, learned, strict=False)]
    seldom = Tally(int(sum((scale * count < SELDOM).sum() for count in seen)))
    size, files = config.tokenizer.vocab_size, sorted(set(config.tokenizer.files.values()))
    vocabulary = (
        f"of {' and '.join(files)}"
        if len(config.tokenizer.files) == len(SIDES)
        else f"data.tokenizer.vocab_size={size}"
    )
    findings = [
        worst_share(
            "vocabulary",
            f"pieces ({vocabulary}) occur fewer than {SELDOM} times in {train.kept:,} pairs",
            [Share("train", seldom, sum(map(len, seen)))],
            RARE_PIECES,
            f"lower data.tokenizer.vocab_size, for example to {size // 2}"
            if len(config.tokenizer.files) < len(SIDES)
            else "use a tokenizer that is made for this corpus, or leave out data.tokenizer.file",
        ),
        worst_share(
            "long in pieces",
            f"sampled pairs have more than data.max_pieces={config.max_pieces} pieces and are dropped",
            [Share("train", long, len(train.sample))],
            TOO_LONG,
            "raise data.max_pieces or data.tokenizer.vocab_size, or split the sentences",
        ),
    ]
    shares = []
    for scan in held_out:
        for name, encoded in zip(SIDES, encode(tokenizers, scan.sample), strict=True):
            tally = Tally()
            for entry, line in zip(scan.sample, encoded, strict=True):
                if UNK_ID in line:
                    tally.add(entry.line)
            shares.append(Share(f"{scan.split}.{name}", tally, len(scan.sample)))
    remedy = unknown_remedy(config.tokenizer)
    findings.append(worst_share("unknown pieces", "lines have an unknown piece", shares, Limits(0.01, 0.1), remedy))
    return findings


def unknown_remedy(config: TokenizerConfig) -> str:
    """Return what to do about unknown pieces."""
    if config.files:
        return "the ready tokenizer has no piece for a part of these lines: use one that is made for such text"
    if config.type == TokenizerType.word:
        return "words without a piece are unknown: raise data.tokenizer.vocab_size, or use data.tokenizer.type=bpe"
    return (
        "the tokenizer has no piece for a character of these lines: add such text to data.train, raise "
        "data.tokenizer.character_coverage, or set data.tokenizer.byte_fallback=true"
    )


def encode(tokenizers: Sequence[Tokenizer], block: Sequence[Entry]) -> list[list[list[int]]]:
    """Return the ids of the sources and those of the targets."""
    return [tokenizer.encode([entry.sides[side] for entry in block]) for side, tokenizer in enumerate(tokenizers)]


def lengths_of(sides: Sequence[Sequence[Sequence[int]]]) -> Iterable[int]:
    """Yield the number of pieces of the longer side of each pair."""
    return (max(map(len, pair)) for pair in zip(*sides, strict=True))


def examine_coverage(
    train: SplitScan, held_out: Sequence[SplitScan], words: tuple[WordCounts, WordCounts]
) -> list[Finding]:
    """Check for characters and words of the held-out sets that the training set lacks.

    Words are not checked on a side without spaces between words, where every sentence would count as one unseen word.
    """
    spaced = [not unspaced(entry.sides[side] for entry in train.sample) for side in range(len(SIDES))]
    characters, unseen = [], []
    for scan in held_out:
        for side, name in enumerate(SIDES):
            place = f"{scan.split}.{name}"
            new = (train.characters[name] == 0) & (scan.characters[name] > 0)
            new_occurrences = Tally(int(scan.characters[name][new].sum()))
            new_characters = {chr(code) for code in np.flatnonzero(new)}
            missing = Tally()
            total = 0
            for entry in scan.sample:
                if new_characters.intersection(entry.sides[side]) and len(new_occurrences.lines) < EXAMPLES:
                    new_occurrences.lines.append(entry.line)
                line_words = split_words(entry.sides[side])
                total += len(line_words)
                missing.count += sum(words[side].counts[word] == 0 for word in line_words)
            characters.append(Share(place, new_occurrences, int(scan.characters[name].sum())))
            if spaced[side]:
                unseen.append(Share(place, missing, total))
    add = "train and held-out text come from different sources: add text like data.{split} to data.train"
    return [
        worst_share("characters", "characters do not occur in train", characters, Limits(0.0005, 0.01), add),
        worst_share("words", "words do not occur in train", unseen, Limits(0.15, 0.5), add)
        if any(spaced)
        else Finding("words", Verdict.ok, "not judged: neither side has spaces between words"),
    ]


def examine_case(scans: Sequence[SplitScan]) -> Finding:
    """Check that either all splits or none are lower-cased."""
    limits = Limits(0.15, 0.5)
    gaps = []
    for side in SIDES:
        shares = {s.split: s.tallies["capitals", f"{s.split}.{side}"].count / max(1, s.report.read) for s in scans}
        low, high = min(shares, key=lambda split: shares[split]), max(shares, key=lambda split: shares[split])
        gaps.append((shares[high] - shares[low], side, low, high, shares))
    gap, side, low, high, shares = max(gaps, key=lambda entry: entry[0])
    verdict = limits.verdict(gap)
    compared = [high] if high == low else [high, low]  # equal where all splits have the same share
    parts = ", ".join(f"{split}.{side} {percent(shares[split])}" for split in compared)
    text = f"lines with an upper-case letter: {parts}"
    remedy = "" if verdict == Verdict.ok else f"lower-case all splits or none: data.{low} differs from data.{high}"
    return Finding("case", verdict, text, f"difference: {limits}", remedy=remedy, value=gap)
