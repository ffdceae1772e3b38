"""From corpus files to a folder of ids, a tokenizer and a report; made once, kept by a hash of content and settings."""

import hashlib
import itertools
import json
import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from nmt.config import DataConfig, cache_dir
from nmt.console import progress_bar
from nmt.data.cleaning import CleaningReport, clean, digests, normalise
from nmt.data.corpora import read_lines
from nmt.data.fetch import sha256_of
from nmt.data.sources import Fingerprints, Source, locate, make_once
from nmt.data.store import SIDES, PairStore, StoreWriter
from nmt.data.tokenizer import Tokenizer, train_tokenizer
from nmt.data.words import WordCounts
from nmt.errors import UserError

FORMAT = 3
MANIFEST = "sha256.json"
BLOCK = 10_000  # sentence pairs that are in memory at once

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A prepared corpus."""

    folder: Path

    def store(self, split: str) -> PairStore:
        return PairStore.open(self.folder, split)

    def tokenizer(self, side: str) -> Tokenizer:
        return Tokenizer.load(self.folder / f"{side}.model")

    def text(self, split: str) -> Path:
        """Stem of a held-out split's text as it came: `.src` and `.tgt` behind it."""
        return self.folder / split

    @property
    def held_out(self) -> list[str]:
        return [split for split in ("valid", "test") if (self.folder / f"{split}.src").exists()]

    def check(self) -> None:
        """
        Raises:
            UserError: a file is not as it was written.
        """
        try:
            digests = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
            damaged = [name for name, digest in digests.items() if sha256_of(self.folder / name) != digest]
        except (OSError, ValueError, AttributeError):
            damaged = [MANIFEST]
        if damaged:
            raise UserError(
                f"{self.folder / damaged[0]} is damaged; delete the folder {self.folder}, and it is made anew"
            )

    @property
    def report(self) -> str:
        return (self.folder / "report.txt").read_text(encoding="utf-8")


def prepare(config: DataConfig, given: dict[str, Tokenizer] | None = None) -> Prepared:
    """Returns the prepared corpus, from the cache if the same files were prepared with the same settings before.

    Args:
        config: the corpus.
        given: tokenizers of both sides to use, as in fine-tuning; None: train them on the corpus.

    Raises:
        UserError: files are missing, damaged, unequal or empty, or too small for the vocabulary.
    """
    cache = cache_dir(config.cache)
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{cache}: {error.strerror}; set data.cache or $NMT_CACHE to a folder that you may write to"
        ) from None
    sources = locate(config)
    fingerprints = Fingerprints(cache / "fingerprints.json")
    key = corpus_key(config, sources, fingerprints, given)
    fingerprints.save()
    target = cache / "prepared" / key
    make_once(target, lambda partial: write(config, sources, partial, given))
    prepared = Prepared(target)
    prepared.check()
    return prepared


def corpus_key(
    config: DataConfig, sources: dict[str, Source], fingerprints: Fingerprints, given: dict[str, Tokenizer] | None
) -> str:
    """A hash of all that decides what `write` writes."""
    files = {split: [fingerprints.of(path) for path in source.paths()] for split, source in sources.items()}
    settings = [asdict(config.cleaning), asdict(config.tokenizer), config.max_pieces]
    layout = {split: [len(source.files.src), len(source.files.tsv)] for split, source in sources.items()}
    parts = [FORMAT, files, layout, settings]
    if config.most_pairs is not None:  # else the key is what it was before there was this setting
        parts.append(config.most_pairs)
    if given is not None:
        parts.append({side: hashlib.sha256(tokenizer.model).hexdigest() for side, tokenizer in given.items()})
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def write(
    config: DataConfig, sources: dict[str, Source], folder: Path, given: dict[str, Tokenizer] | None = None
) -> None:
    """Does the work: clean, train the tokenizer, encode, report."""
    with progress_bar() as progress:
        held_out = {split: list(source.pairs()) for split, source in sources.items() if split != "train"}
        for split, pairs in held_out.items():
            write_lines(folder / f"{split}.src", (src for src, _ in pairs))
            write_lines(folder / f"{split}.tgt", (tgt for _, tgt in pairs))
        words = {
            side: WordCounts(pair[at] for pairs in held_out.values() for pair in pairs) for at, side in enumerate(SIDES)
        }
        report = CleaningReport()
        kept = clean(sources["train"].pairs(), config.cleaning, digests(itertools.chain(*held_out.values())), report)
        task = progress.add_task("reading and cleaning", total=None)
        clean_text = {side: folder / f"train.{side}.txt" for side in SIDES}
        with clean_text["src"].open("w", encoding="utf-8") as src, clean_text["tgt"].open("w", encoding="utf-8") as tgt:
            for block in blocks(kept):
                src.writelines(f"{line}\n" for line, _ in block)
                tgt.writelines(f"{line}\n" for _, line in block)
                words["src"].add(line for line, _ in block)
                words["tgt"].add(line for _, line in block)
                progress.update(task, completed=report.read)
        if report.kept == 0:
            raise UserError(f"no training pair is left of {report.read}; see data.cleaning. {one_line(report)}")
        progress.update(task, total=report.read)
        if given is None:
            progress.add_task("training the tokenizer", total=None)
        tokenizers = given or train_tokenizers(config, clean_text, report.kept)
        for side, tokenizer in tokenizers.items():
            (folder / f"{side}.model").write_bytes(tokenizer.model)
        task = progress.add_task("encoding", total=report.kept)
        too_long = 0
        with StoreWriter(folder, "train", tokenizers["src"].size, tokenizers["tgt"].size) as store:
            for block in blocks(zip(*(read_lines(path) for path in clean_text.values()), strict=True)):
                encoded = encode(tokenizers, block)
                fitting = [pair for pair in encoded if max(map(len, pair)) <= config.max_pieces]
                too_long += len(encoded) - len(fitting)
                store.append([src for src, _ in fitting], [tgt for _, tgt in fitting])
                progress.update(task, advance=len(block))
    if too_long == report.kept:
        raise UserError(f"every training pair has more than data.max_pieces={config.max_pieces} pieces; raise it")
    for split, pairs in held_out.items():
        normalised = [(normalise(src), normalise(tgt)) for src, tgt in pairs]
        with StoreWriter(folder, split, tokenizers["src"].size, tokenizers["tgt"].size) as store:
            encoded = encode(tokenizers, normalised)
            store.append([src for src, _ in encoded], [tgt for _, tgt in encoded])
    for path in clean_text.values():
        path.unlink()
    summary = report.to_dict() | {"over_max_pieces": too_long, "held_out": {k: len(v) for k, v in held_out.items()}}
    (folder / "report.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1), encoding="utf-8")
    counts = {side: counted.counts for side, counted in words.items()}
    (folder / "words.json").write_text(json.dumps(counts, ensure_ascii=False, indent=0), encoding="utf-8")
    text = f"{report}\nmore than {config.max_pieces} pieces, dropped too: {too_long}\n"
    (folder / "report.txt").write_text(text, encoding="utf-8")
    written = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    (folder / MANIFEST).write_text(json.dumps(written, indent=1), encoding="utf-8")
    log.info("prepared %s: %d training pairs kept of %d", config.name, report.kept - too_long, report.read)


def train_tokenizers(config: DataConfig, text: dict[str, Path], pairs: int) -> dict[str, Tokenizer]:
    """One tokenizer for both sides, or one for each."""
    stride = math.ceil(pairs / config.tokenizer.max_lines)
    sides = {side: itertools.islice(read_lines(path), 0, None, stride) for side, path in text.items()}
    if config.tokenizer.joint:
        joint = train_tokenizer(itertools.chain(*sides.values()), config.tokenizer)
        models = dict.fromkeys(SIDES, joint)
    else:
        models = {side: train_tokenizer(lines, config.tokenizer) for side, lines in sides.items()}
    return {side: Tokenizer(model) for side, model in models.items()}


def encode(tokenizers: dict[str, Tokenizer], pairs: list[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
    src, tgt = ([pair[column] for pair in pairs] for column in (0, 1))
    return list(zip(tokenizers["src"].encode(src), tokenizers["tgt"].encode(tgt), strict=True))


def blocks(pairs: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(pairs)
    while block := list(itertools.islice(iterator, BLOCK)):
        yield block


def write_lines(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in lines)


def one_line(report: CleaningReport) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in report.dropped.items() if count)
