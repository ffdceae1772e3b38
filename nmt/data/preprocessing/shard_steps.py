"""Steps of preparation that run per shard, in any order and in any process, with byte-identical results.

A finished step writes a mark: a file with the checksums of its output files and its result. A preparation that
continues after an interruption repeats only steps without a mark, or whose files do not match their mark.
"""

import hashlib
import itertools
import json
import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nmt.config.data import CleaningConfig
from nmt.data.preprocessing.cleaning import CleaningReport, Reason, clean, digests, pair_digest
from nmt.data.preprocessing.duplicates import read_repeated, write_digests
from nmt.data.preprocessing.fetch import sha256_of
from nmt.data.preprocessing.parallel_text import read_shard, tagged
from nmt.data.preprocessing.shard_boundaries import WORK, Result, cut
from nmt.data.preprocessing.sources import write_error
from nmt.data.source_form import FactorCounts, SourceForm, load_tokenizer
from nmt.data.store import SIDES, StoreWriter, shard_name, store_files
from nmt.data.text_files import LineRange, read_lines
from nmt.data.tokenizer import Tokenizer
from nmt.data.words import WordCounts

BLOCK = 10_000  # number of sentence pairs in memory together, and between two reports of progress

Advance = Callable[[int], None]
"""Progress callback, called with the number of bytes (step cut) or pairs (other steps) done since the last call."""
T = TypeVar("T")


def perform(folder: Path, step: str, number: int, given: dict[str, Any], advance: Advance) -> Result:
    """Run a step for one shard or file, or return its result if it is finished.

    `number` is that of the shard, or of the file to cut. `given` has the further arguments of the step, serialisable as
    JSON.

    Raises:
        UserError: the input is not valid.
        Unfinished: the output cannot be written.
    """
    name = f"{step}-{number:05d}"
    try:
        result = finished(folder, name)
        if result is None:
            match step:
                case "cut":
                    files, result = cut(folder, number, **given, advance=advance)
                case "clean":
                    files, result = clean_shard(folder, number, **given, advance=advance)
                case _:
                    files, result = encode_shard(folder, number, **given, advance=advance)
            finish(folder, name, files, result)
        return result
    except OSError as error:
        raise write_error(error, folder) from error


def finish(folder: Path, name: str, files: Iterable[Path], result: Result) -> None:
    """Mark a step as finished: the first line is the checksum of the second, which has the checksums of the files."""
    mark = {"sha256": {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}, "result": result}
    line = json.dumps(mark).encode()
    temporary = folder / WORK / f"{name}.tmp"
    temporary.write_bytes(hashlib.sha256(line).hexdigest().encode() + b"\n" + line)
    os.replace(temporary, folder / WORK / f"{name}.mark")


def finished(folder: Path, name: str) -> Result | None:
    """Return the result of a step if its mark is valid and its files match their checksums, otherwise None."""
    try:
        digest, line = (folder / WORK / f"{name}.mark").read_bytes().split(b"\n")
        if hashlib.sha256(line).hexdigest().encode() != digest:
            return None
        mark = json.loads(line)
        whole = all(sha256_of(folder / path) == digest for path, digest in mark["sha256"].items())
    except (OSError, ValueError):
        return None
    result: Result = mark["result"]
    return result if whole else None


def clean_shard(
    folder: Path,
    number: int,
    src: dict[str, Any],
    tgt: dict[str, Any] | None,
    cleaning: dict[str, Any],
    held_out: list[str],
    compared: bool,
    form: dict[str, list[str]],
    advance: Advance,
    direction: list[str] | None = None,
) -> tuple[list[Path], Result]:
    """Read and clean a shard, and drop duplicates within it.

    `src` and `tgt` have the fields of the `LineRange` of each side; for a tab-separated file, `tgt` is None. `cleaning`
    has the fields of the `CleaningConfig`. Pairs of the `held_out` splits are dropped. If `compared`, digests are
    written for `find_repeated`. `form` has the fields of the `SourceForm`, and `direction` the name and the tag of the
    direction in a multilingual corpus.

    Returns:
        The files written (the kept text; counts of the factors, if any; if compared, digests and line numbers of the
        pairs), and the fields of the report.
    """
    stem = folder / WORK / f"clean-{number:05d}"
    files = text_files(folder, number)
    report = CleaningReport()
    sides = LineRange(**src), LineRange(**tgt) if tgt is not None else None
    source_form = SourceForm(tuple(form["factors"]), tuple(form["tags"]))
    counts = FactorCounts(source_form)
    dropped = digests((pair for split in held_out for pair in held_out_pairs(folder, split)), source_form.plain)
    kept_digests, origins, altered = array("Q"), array("Q"), 0
    with (
        files[0].open("w", encoding="utf-8", newline="\n") as src_file,
        files[1].open("w", encoding="utf-8", newline="\n") as tgt_file,
    ):
        pairs = report_progress(tagged(read_shard(*sides), direction[1] if direction else ""), advance)
        if source_form.given:
            pairs = checked(pairs, source_form, sides[0])
        for pair in clean(pairs, CleaningConfig(**cleaning), dropped, report, source_form.plain):
            counts.add(pair[0])
            src_file.write(f"{pair[0]}\n")
            tgt_file.write(f"{pair[1]}\n")
            if compared:
                kept_digests.append(pair_digest(*pair))
                origins.append(2 * report.read + (report.altered > altered))
                altered = report.altered
    if source_form.factors:
        files.append(factors_file(folder, number))
        files[-1].write_text(json.dumps(counts.counts), encoding="utf-8")
    if compared:
        Path(f"{stem}.origins").write_bytes(origins.tobytes())
        files += [Path(f"{stem}.origins"), *write_digests(stem, np.asarray(kept_digests))]
    return files, asdict(report)


def checked(pairs: Iterable[tuple[str, str]], form: SourceForm, part: LineRange) -> Iterator[tuple[str, str]]:
    """Yield the pairs of a line range; raise UserError for a source line in which a word does not have all factors."""
    for number, (src, tgt) in enumerate(pairs, start=part.before + 1):
        form.check(src, f"{part.file}, line {number}")
        yield src, tgt


def encode_shard(
    folder: Path, number: int, report: Result, held_out: list[str], max_pieces: int, advance: Advance
) -> tuple[list[Path], Result]:
    """Write a cleaned shard as ids, without pairs that occur in an earlier shard.

    `report` has the fields of the report of `clean_shard`. The words of the `held_out` splits are counted. Pairs with
    more than `max_pieces` pieces on a side are dropped.

    Returns:
        The files written, including the word counts, and a result: the final `report` and the number of pairs dropped
        as `too_long`.
    """
    tokenizers = {side: load_tokenizer(folder, side) for side in SIDES}
    final, too_long = CleaningReport.of(report), 0
    text = [pair for split in held_out for pair in held_out_pairs(folder, split)]
    words = {side: WordCounts(pair[column] for pair in text) for column, side in enumerate(SIDES)}
    name = shard_name("train", number)
    with StoreWriter(folder, name, tokenizers["src"].id_limit, tokenizers["tgt"].id_limit) as store:
        for block in blocks(without_repeated(folder, number, final, tokenizers["src"].plain)):
            for side, lines in zip(SIDES, zip(*block, strict=True), strict=True):
                words[side].add(lines)
            encoded = encode(tokenizers, block, threads=1)
            fitting = [pair for pair in encoded if max(map(len, pair)) <= max_pieces]
            too_long += len(encoded) - len(fitting)
            store.append([src for src, _ in fitting], [tgt for _, tgt in fitting])
            advance(len(block))
    counts = {side: word_counts.counts for side, word_counts in words.items()}
    words_file(folder, number).write_text(json.dumps(counts), encoding="utf-8")
    files = [*store_files(folder, name), words_file(folder, number)]
    return files, {"report": asdict(final), "too_long": too_long}


def without_repeated(
    folder: Path, number: int, report: CleaningReport, plain: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    """Yield the kept pairs of a shard that occur in no earlier shard; count the other pairs in the report.

    `plain` returns the words of a source line, as for `clean`.
    """
    repeated = repeated_in(folder, number, report.kept)
    pairs = zip(*map(read_lines, text_files(folder, number)), strict=True)
    if not repeated.any():
        yield from pairs
        return
    origins = np.fromfile(folder / WORK / f"clean-{number:05d}.origins", np.uint64).tolist()
    for (src, tgt), drop, origin in zip(pairs, repeated.tolist(), origins, strict=True):
        if drop:
            report.count(plain(src), tgt, altered=bool(origin % 2), pairs=-1)
            report.drop(Reason.duplicate, origin // 2, src, tgt)
        else:
            yield src, tgt


def repeated_in(folder: Path, number: int, kept: int) -> NDArray[np.bool]:
    """Return a mask of the kept pairs of a shard, True on pairs that occur in an earlier shard."""
    repeated = np.zeros(kept, dtype=bool)
    repeated[read_repeated(folder / WORK / f"clean-{number:05d}")] = True
    return repeated


def text_files(folder: Path, number: int) -> list[Path]:
    """Return the paths of the cleaned source and target text of a shard."""
    return [folder / WORK / f"clean-{number:05d}.{side}.txt" for side in SIDES]


def factors_file(folder: Path, number: int) -> Path:
    """Return the path of the counts of the factors' values in a shard."""
    return folder / WORK / f"clean-{number:05d}.factors.json"


def words_file(folder: Path, number: int) -> Path:
    """Return the path of the counts of held-out words in a shard."""
    return folder / WORK / f"encode-{number:05d}.words.json"


def held_out_pairs(folder: Path, split: str) -> Iterator[tuple[str, str]]:
    """Yield the raw pairs of a held-out split."""
    return zip(*(read_lines(folder / f"{split}.{side}") for side in SIDES), strict=True)


def encode(
    tokenizers: dict[str, Tokenizer], pairs: list[tuple[str, str]], threads: int = -1
) -> list[tuple[list[int], list[int]]]:
    """Return the source and target ids of each pair."""
    src, tgt = ([pair[column] for pair in pairs] for column in (0, 1))
    return list(zip(tokenizers["src"].encode(src, threads), tokenizers["tgt"].encode(tgt, threads), strict=True))


def report_progress(pairs: Iterable[T], advance: Advance) -> Iterator[T]:
    """Yield the pairs and call `advance` after each block."""
    for number, pair in enumerate(pairs, start=1):
        yield pair
        if number % BLOCK == 0:
            advance(BLOCK)


def blocks(pairs: Iterable[T]) -> Iterator[list[T]]:
    """Yield the pairs in lists of `BLOCK` pairs; the last list may be shorter."""
    iterator = iter(pairs)
    while block := list(itertools.islice(iterator, BLOCK)):
        yield block
