"""From corpus files to a folder of ids, a tokenizer and a report; made once, kept by a hash of content and settings.

The training files are cut into shards of so many lines, and each is cleaned and, once the tokenizer is trained, encoded
by itself: `nmt.data.preprocessing.shard_steps`. A small corpus is one shard.
"""

import hashlib
import itertools
import json
import logging
import math
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nmt.config import DataConfig, cache_dir
from nmt.console import progress_bar
from nmt.data.json_files import read_json
from nmt.data.preprocessing.cleaning import CleaningReport, normalise
from nmt.data.preprocessing.duplicates import find_repeated
from nmt.data.preprocessing.fetch import sha256_of
from nmt.data.preprocessing.shard_boundaries import WORK, Result, shards_of
from nmt.data.preprocessing.shard_steps import encode, finish, finished, repeated_in, text_files, words_file
from nmt.data.preprocessing.sources import Fingerprints, Source, locate, make_once
from nmt.data.preprocessing.worker_pool import Task, Workers
from nmt.data.store import SIDES, PairStore, StoreWriter, shard_name
from nmt.data.text_files import MOST_IN_MEMORY, write_lines
from nmt.data.tokenizer import Tokenizer, train_tokenizer
from nmt.errors import UserError

FORMAT = 5
MANIFEST = "sha256.json"
SMALL = 1 << 25  # bytes of files that are cut sooner than a process has started

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A prepared corpus."""

    folder: Path

    def store(self, split: str) -> PairStore:
        shards = max(1, len(list(self.folder.glob(f"{split}-*.src.ids"))))
        return PairStore.open(self.folder, *(shard_name(split, number) for number in range(shards)))

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
            digests = read_json(self.folder / MANIFEST)
            damaged = [name for name, digest in digests.items() if not self.holds(name, digest)]
        except (OSError, ValueError, AttributeError):
            damaged = [MANIFEST]
        if damaged:
            raise UserError(
                f"{self.folder / damaged[0]} is damaged; delete the folder {self.folder}, and it is made anew"
            )

    def holds(self, name: str, digest: str) -> bool:
        """Whether a file is as it was written; a name that leads out of the folder is none of its files."""
        path = self.folder / name
        return Path(name).name == name and path.is_file() and sha256_of(path) == digest

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
    make_once(target, lambda partial: write(config, sources, partial, given), keep=True)
    prepared = Prepared(target)
    prepared.check()
    if given is None and not config.tokenizer.hard_vocab_limit:  # with the limit such a corpus was refused
        asked = config.tokenizer.vocab_size
        if (size := min(prepared.tokenizer(side).size for side in SIDES)) < asked:
            log.warning(
                "%d pieces are all that the corpus has: data.tokenizer.vocab_size=%d is too large for it", size, asked
            )
    return prepared


def corpus_key(
    config: DataConfig, sources: dict[str, Source], fingerprints: Fingerprints, given: dict[str, Tokenizer] | None
) -> str:
    """A hash of all that decides what `write` writes."""
    files = {split: [fingerprints.of(path) for path in source.paths()] for split, source in sources.items()}
    tokenizer = asdict(config.tokenizer)
    if config.tokenizer.hard_vocab_limit:  # then the key is what it was before there was this setting
        del tokenizer["hard_vocab_limit"]
    cleaning = asdict(config.cleaning)
    if not config.cleaning.drop_test_sources:  # likewise
        del cleaning["drop_test_sources"]
    settings = [cleaning, tokenizer, config.max_pieces, config.shard_pairs]
    layout = {split: [len(source.files.src), len(source.files.tsv)] for split, source in sources.items()}
    parts = [FORMAT, files, layout, settings]
    if config.most_pairs is not None:  # else, again, what it was
        parts.append(config.most_pairs)
    if given is not None:
        parts.append({side: hashlib.sha256(tokenizer.model).hexdigest() for side, tokenizer in given.items()})
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def write(
    config: DataConfig, sources: dict[str, Source], folder: Path, given: dict[str, Tokenizer] | None = None
) -> None:
    """Does the work: cut, clean, find duplicates, train the tokenizer, encode, report.

    `folder` is empty, or as a process that was stopped in the midst of this has left it.
    """
    if begin(folder):
        return
    with Workers(folder, config.workers) as workers, progress_bar() as progress:

        def run(what: str, tasks: list[Task], alone: bool = False) -> list[Result]:
            task = progress.add_task(what, total=sum(task.size for task in tasks))
            return workers.run(tasks, lambda count: progress.advance(task, count), alone)

        held_out = {split: list(source.pairs(MOST_IN_MEMORY)) for split, source in sources.items() if split != "train"}
        for split, pairs in held_out.items():
            write_lines(folder / f"{split}.src", (src for src, _ in pairs))
            write_lines(folder / f"{split}.tgt", (tgt for _, tgt in pairs))
        paths = sources["train"].paths()
        cut = {"every": config.shard_pairs}
        tasks = [Task("cut", i, {"file": str(path)} | cut, path.stat().st_size) for i, path in enumerate(paths)]
        cuts = run("cutting, in bytes", tasks, alone=sum(task.size for task in tasks) < SMALL)
        shards = shards_of(sources["train"], cuts, config.shard_pairs, folder)
        compared = config.cleaning.drop_duplicates and len(shards) > 1
        common = {"cleaning": asdict(config.cleaning), "held_out": list(held_out), "compared": compared}
        tasks = [Task("clean", i, shard | common, shard["src"]["lines"]) for i, shard in enumerate(shards)]
        cleaned = run("cleaning", tasks)
        kept = sum(report["kept"] for report in cleaned)
        if kept == 0:
            report = joined(cleaned)
            raise UserError(f"no training pair is left of {report.read}; see data.cleaning. {one_line(report)}")
        if compared:
            task = progress.add_task("finding duplicates", total=None)
            kept -= find_repeated([folder / WORK / f"clean-{i:05d}" for i in range(len(shards))])
            progress.update(task, total=1, completed=1)
        task = progress.add_task("training the tokenizer", total=None, visible=given is None)
        settle_tokenizers(config, folder, [report["kept"] for report in cleaned], kept, given)
        progress.update(task, total=1, completed=1)
        common = {"held_out": list(held_out), "max_pieces": config.max_pieces}
        tasks = [Task("encode", i, {"report": each} | common, each["kept"]) for i, each in enumerate(cleaned)]
        encoded = run("encoding", tasks)
    report = joined([result["report"] for result in encoded])
    too_long = sum(result["too_long"] for result in encoded)
    if too_long == report.kept:
        raise UserError(f"every training pair has more than data.max_pieces={config.max_pieces} pieces; raise it")
    tokenizers = {side: Tokenizer.load(folder / f"{side}.model") for side in SIDES}
    for split, pairs in held_out.items():
        normalised = [(normalise(src), normalise(tgt)) for src, tgt in pairs]
        with StoreWriter(folder, shard_name(split, 0), tokenizers["src"].size, tokenizers["tgt"].size) as store:
            ids = encode(tokenizers, normalised)
            store.append([src for src, _ in ids], [tgt for _, tgt in ids])
    summary = report.to_dict() | {"over_max_pieces": too_long, "held_out": {k: len(v) for k, v in held_out.items()}}
    (folder / "report.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1), encoding="utf-8")
    counts = json.dumps(sum_counts(folder, len(encoded)), ensure_ascii=False, indent=0)
    (folder / "words.json").write_text(counts, encoding="utf-8")
    text = f"{report}\nmore than {config.max_pieces} pieces, dropped too: {too_long}\n"
    (folder / "report.txt").write_text(text, encoding="utf-8")
    written = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.name not in (WORK, MANIFEST)}
    (folder / MANIFEST).write_text(json.dumps(written, indent=1), encoding="utf-8")
    shutil.rmtree(folder / WORK)
    log.info("prepared %s: %d training pairs kept of %d", config.name, report.kept - too_long, report.read)


def begin(folder: Path) -> bool:
    """Makes the folder ready for work; what is in it without work to go on with is nothing of ours.

    Returns:
        Whether all is done, and whoever did it was stopped as it took its work away.
    """
    if (folder / WORK).is_dir():
        log.info("going on with what is finished in %s", folder)
        with suppress(UserError):
            Prepared(folder).check()
            shutil.rmtree(folder / WORK)
            return True
        return False
    for path in folder.iterdir():
        path.unlink()
    (folder / WORK).mkdir()
    return False


def settle_tokenizers(
    config: DataConfig, folder: Path, kept: list[int], pairs: int, given: dict[str, Tokenizer] | None
) -> None:
    """Writes the tokenizers of both sides: those that are given, or new ones.

    Args:
        config: the corpus.
        folder: where to write, and where the cleaned text is.
        kept: pairs of each shard that cleaning left.
        pairs: those of them all that no earlier shard has.
        given: the tokenizers to use.
    """
    if finished(folder, "tokenizer") is not None:
        return
    files = [folder / f"{side}.model" for side in SIDES]
    tokenizers = given or train_tokenizers(config, folder, kept, pairs)
    for side, file in zip(SIDES, files, strict=True):
        file.write_bytes(tokenizers[side].model)
    finish(folder, "tokenizer", files, {})


def train_tokenizers(config: DataConfig, folder: Path, kept: list[int], pairs: int) -> dict[str, Tokenizer]:
    """One tokenizer for both sides, or one for each."""
    stride = math.ceil(pairs / config.tokenizer.max_lines)
    sides = [sample(folder, side, kept, stride) for side in range(len(SIDES))]
    if config.tokenizer.joint:
        joint = train_tokenizer(itertools.chain(*sides), config.tokenizer)
        models = dict.fromkeys(SIDES, joint)
    else:
        models = {side: train_tokenizer(lines, config.tokenizer) for side, lines in zip(SIDES, sides, strict=True)}
    return {side: Tokenizer(model) for side, model in models.items()}


def sample(folder: Path, side: int, kept: list[int], stride: int) -> Iterator[str]:
    """Each `stride`-th line of a side of the cleaned text, without the pairs that an earlier shard has."""
    before = 0
    for number, lines in enumerate(kept):
        own = np.flatnonzero(~repeated_in(folder, number, lines))
        chosen = np.zeros(lines, dtype=bool)
        chosen[own[-before % stride :: stride]] = True
        before += len(own)
        with text_files(folder, number)[side].open("rb") as file:  # to decode them all would take four times as long
            for line in itertools.compress(file, chosen.tolist()):
                yield line.decode("utf-8").removesuffix("\n")


def joined(reports: list[Result]) -> CleaningReport:
    """The report of all shards."""
    whole = CleaningReport()
    for report in reports:
        whole.add(CleaningReport.of(report))
    return whole


def sum_counts(folder: Path, shards: int) -> dict[str, dict[str, int]]:
    """How often the held-out sets' words stand in all shards, on each side; reads one shard's counts at a time."""
    total: dict[str, dict[str, int]] = {side: {} for side in SIDES}
    for number in range(shards):
        own = json.loads(words_file(folder, number).read_text(encoding="utf-8"))
        for side, sums in total.items():
            for word, count in own[side].items():
                sums[word] = sums.get(word, 0) + count
    return total


def one_line(report: CleaningReport) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in report.dropped.items() if count)
