"""Preparation of a corpus into a folder of ids, tokenizers and a report, cached by a hash of content and settings.

The training files are split into shards with a fixed number of lines. Each shard is cleaned and, after the tokenizer is
trained, encoded independently (`nmt.data.preprocessing.shard_steps`). A small corpus is one shard.
"""

import hashlib
import json
import logging
import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from nmt.config import DataConfig, TokenizerConfig, cache_dir
from nmt.console import progress_bar
from nmt.data.json_files import read_json
from nmt.data.preprocessing.cleaning import CleaningReport, normalise
from nmt.data.preprocessing.duplicates import find_repeated
from nmt.data.preprocessing.fetch import sha256_of
from nmt.data.preprocessing.shard_boundaries import WORK, Result, shards_of
from nmt.data.preprocessing.shard_steps import encode, words_file
from nmt.data.preprocessing.sources import Fingerprints, Source, locate, make_once
from nmt.data.preprocessing.vocabularies import write_tokenizers
from nmt.data.preprocessing.worker_pool import ShardTask, Workers
from nmt.data.source_form import SourceForm, load_tokenizer, with_tags
from nmt.data.store import SIDES, PairStore, StoreWriter, shard_name
from nmt.data.text_files import MAX_TEXT_BYTES, write_lines
from nmt.data.tokenizer import Tokenizer, ready_tokenizers
from nmt.errors import UserError

FORMAT = 5
MANIFEST = "sha256.json"
READY_FILES = ("file", "src_file", "tgt_file")
"""Keys of `data.tokenizer` with files, whose content counts and not their names."""
ADDED_SETTINGS = (*READY_FILES, "hard_vocab_limit", "user_symbols", "byte_fallback", "split_digits")
"""Keys of `data.tokenizer` that older caches do not have."""
SMALL = 1 << 25  # bytes of files whose splitting takes less time than starting a process

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """Folder of a prepared corpus."""

    folder: Path

    def store(self, split: str) -> PairStore:
        """Open the pairs of a split."""
        shards = max(1, len(list(self.folder.glob(f"{split}-*.src.ids"))))
        return PairStore.open(self.folder, *(shard_name(split, number) for number in range(shards)))

    def direction_ranges(self) -> list[list[range]]:
        """Return the ranges of training pairs of each direction of a multilingual corpus, otherwise nothing."""
        shards: list[list[str]] = read_json(self.folder / "report.json").get("directions", [])
        names = dict.fromkeys(name for name, _ in shards)
        ranges: dict[str, list[range]] = {name: [] for name in names}
        start = 0
        for number, (name, _) in enumerate(shards):
            end = start + len(PairStore.open(self.folder, shard_name("train", number)))
            ranges[name].append(range(start, end))
            start = end
        return list(ranges.values())

    def tokenizer(self, side: str) -> Tokenizer:
        """Load the tokenizer of a side, `src` or `tgt`."""
        return load_tokenizer(self.folder, side)

    def text(self, split: str) -> Path:
        """Return the stem of the raw text of a held-out split, to which `.src` or `.tgt` is appended."""
        return self.folder / split

    @property
    def held_out(self) -> list[str]:
        """Names of the held-out splits."""
        return [split for split in ("valid", "test") if (self.folder / f"{split}.src").exists()]

    def check(self) -> None:
        """Check the files against their checksums.

        Raises:
            UserError: a file is missing or damaged.
        """
        try:
            digests = read_json(self.folder / MANIFEST)
            damaged = [name for name, digest in digests.items() if not self.is_intact(name, digest)]
        except (OSError, ValueError, AttributeError):
            damaged = [MANIFEST]
        if damaged:
            raise UserError(
                f"{self.folder / damaged[0]} is damaged; delete the folder {self.folder} to prepare the corpus again"
            )

    def is_intact(self, name: str, digest: str) -> bool:
        """Return whether a file inside the folder has this checksum."""
        path = self.folder / name
        return Path(name).name == name and path.is_file() and sha256_of(path) == digest

    @property
    def report(self) -> str:
        """Text of the cleaning report."""
        return (self.folder / "report.txt").read_text(encoding="utf-8")


def prepare(config: DataConfig, given: dict[str, Tokenizer] | None = None, extend: bool = False) -> Prepared:
    """Prepare a corpus, or return it from the cache if the same files were prepared with the same settings before.

    Args:
        config: the corpus.
        given: tokenizers to use by side, as in fine-tuning; None: the ready ones of the configuration. Others are
            trained on the corpus.
        extend: extend the given tokenizers of both sides by the pieces of tokenizers trained on the corpus.

    Raises:
        UserError: files are missing, damaged, empty or not parallel, or too small for the vocabulary.
    """
    given = ready_tokenizers(with_tags(config)) if given is None else given
    cache = cache_dir(config.cache)
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{cache}: {error.strerror}; set data.cache or $NMT_CACHE to a folder with write permission"
        ) from None
    sources = locate(config)
    fingerprints = Fingerprints(cache / "fingerprints.json")
    target = cache / "prepared" / corpus_key(config, sources, fingerprints, given, extend)
    fingerprints.save()

    def fill(partial: Path) -> None:
        write_corpus(config, sources, partial, given, extend)
        if corpus_key(config, sources, fingerprints, given, extend) != target.name:
            raise UserError("a file of the corpus was changed while it was prepared; run the same command again")

    make_once(target, fill, keep=True)
    prepared = Prepared(target)
    prepared.check()
    if extend:  # a continued run has only the extended tokenizers, and finds the corpus by them
        extended = {side: prepared.tokenizer(side) for side in SIDES}
        with suppress(OSError):  # the link exists already
            target.with_name(corpus_key(config, sources, fingerprints, extended)).symlink_to(target.name)
    trained = [side for side in SIDES if side not in given]
    if trained and not config.tokenizer.hard_vocab_limit:  # with the limit, training raises an error
        vocab_size = config.tokenizer.vocab_size
        if (size := min(prepared.tokenizer(side).size for side in trained)) < vocab_size:
            log.warning(
                "the corpus yields a vocabulary of %d pieces, fewer than data.tokenizer.vocab_size=%d", size, vocab_size
            )
    return prepared


def corpus_key(
    config: DataConfig,
    sources: dict[str, Source],
    fingerprints: Fingerprints,
    given: dict[str, Tokenizer],
    extend: bool = False,
) -> str:
    """Return a hash of everything that determines the output of `write_corpus`.

    Settings added later are left out at their defaults, so that the keys of older caches stay valid.
    """
    files = {split: [fingerprints.of(path) for path in source.paths()] for split, source in sources.items()}
    tokenizer = {
        key: value
        for key, value in asdict(config.tokenizer).items()
        if key not in ADDED_SETTINGS or (key not in READY_FILES and value != getattr(TokenizerConfig(), key))
    }
    cleaning = asdict(config.cleaning)
    if not config.cleaning.drop_test_sources:
        del cleaning["drop_test_sources"]
    settings = [cleaning, tokenizer, config.max_pieces, config.shard_pairs]
    layout = {split: [len(source.files.src), len(source.files.tsv)] for split, source in sources.items()}
    parts = [FORMAT, files, layout, settings]
    if config.most_pairs is not None:
        parts.append(config.most_pairs)
    if config.factors or config.directions:
        directions = {split: source.directions for split, source in sources.items()}
        parts.append({"factors": config.factors, "values": config.factor_values, "directions": directions})
        parts.append(config.tgt_lang)  # lines without a tag have that of this language
    if given:
        parts.append({side: hashlib.sha256(tokenizer.model).hexdigest() for side, tokenizer in given.items()})
    if extend:
        parts.append("extended")
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def write_corpus(
    config: DataConfig, sources: dict[str, Source], folder: Path, given: dict[str, Tokenizer], extend: bool
) -> None:
    """Write a prepared corpus: split into shards, clean, find duplicates, train the tokenizer, encode, report.

    `folder` is empty, or contains the finished parts of an interrupted preparation.
    """
    if begin(folder):
        return
    with Workers(folder, config.workers) as workers:
        held_out = {split: read_held_out(config, split, sources[split]) for split in sources if split != "train"}
        for split, pairs in held_out.items():
            write_lines(folder / f"{split}.src", (src for src, _ in pairs))
            write_lines(folder / f"{split}.tgt", (tgt for _, tgt in pairs))
        encoded = process_shards(config, sources["train"], list(held_out), workers, given, extend)
    report = merge_reports([result["report"] for result in encoded])
    too_long = sum(result["too_long"] for result in encoded)
    if too_long == report.kept:
        raise UserError(f"every training pair has more than data.max_pieces={config.max_pieces} pieces; raise it")
    tokenizers = {side: load_tokenizer(folder, side) for side in SIDES}
    for split, pairs in held_out.items():
        normalised = [(normalise(src), normalise(tgt)) for src, tgt in pairs]
        limits = tokenizers["src"].id_limit, tokenizers["tgt"].id_limit
        with StoreWriter(folder, shard_name(split, 0), *limits) as store:
            ids = encode(tokenizers, normalised)
            store.append([src for src, _ in ids], [tgt for _, tgt in ids])
    summary = report.to_dict() | {"over_max_pieces": too_long, "held_out": {k: len(v) for k, v in held_out.items()}}
    if config.directions:
        summary["directions"] = [result["direction"] for result in encoded]
    (folder / "report.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1), encoding="utf-8")
    counts = json.dumps(sum_counts(folder, len(encoded)), ensure_ascii=False, indent=0)
    (folder / "words.json").write_text(counts, encoding="utf-8")
    text = f"{report}\npairs dropped for more than {config.max_pieces} pieces: {too_long}\n"
    (folder / "report.txt").write_text(text, encoding="utf-8")
    written = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.name not in (WORK, MANIFEST)}
    (folder / MANIFEST).write_text(json.dumps(written, indent=1), encoding="utf-8")
    shutil.rmtree(folder / WORK)
    log.info("prepared %s: %d of %d training pairs kept", config.name, report.kept - too_long, report.read)


def read_held_out(config: DataConfig, split: str, source: Source) -> list[tuple[str, str]]:
    """Return the pairs of a held-out split; the directions of a multilingual corpus take turns.

    Raises:
        UserError: a file cannot be read, or a source word does not have all factors.
    """
    form = SourceForm.of(config)
    pairs = list(source.pairs(MAX_TEXT_BYTES))
    for number, (src, _) in enumerate(pairs, start=1):
        form.check(src, f"data.{split}, line {number}")
    if not form.tags:
        return pairs
    counts: Counter[str] = Counter()
    turns = []
    for src, _ in pairs:
        tag, _ = form.split_tag(src)
        counts[tag] += 1
        turns.append(counts[tag])
    return [pairs[i] for i in sorted(range(len(pairs)), key=turns.__getitem__)]


def process_shards(
    config: DataConfig, source: Source, held_out: list[str], workers: Workers, given: dict[str, Tokenizer], extend: bool
) -> list[Result]:
    """Split the training files into shards, and clean and encode the shards in worker processes.

    The text of the `held_out` splits is in the folder of the corpus. Tokenizers that are not given are trained; with
    `extend`, the given ones are extended.

    Returns:
        Result of `encode_shard` for each shard.
    """
    folder = workers.folder
    with progress_bar() as progress:

        def run(description: str, tasks: list[ShardTask], alone: bool = False) -> list[Result]:
            task = progress.add_task(description, total=sum(task.size for task in tasks))
            return workers.run(tasks, lambda count: progress.advance(task, count), alone)

        cut = {"every": config.shard_pairs}
        tasks = [
            ShardTask("cut", i, {"file": str(path)} | cut, path.stat().st_size) for i, path in enumerate(source.paths())
        ]
        cuts = run("splitting, in bytes", tasks, alone=sum(task.size for task in tasks) < SMALL)
        shards = shards_of(source, cuts, config.shard_pairs, folder)
        compared = config.cleaning.drop_duplicates and len(shards) > 1
        common = {"cleaning": asdict(config.cleaning), "held_out": held_out, "compared": compared}
        common["form"] = asdict(SourceForm.of(config))
        tasks = [ShardTask("clean", i, shard | common, shard["src"]["lines"]) for i, shard in enumerate(shards)]
        reports = run("cleaning", tasks)
        kept = sum(report["kept"] for report in reports)
        if kept == 0:
            merged = merge_reports(reports)
            reasons = ", ".join(f"{reason}: {count}" for reason, count in merged.dropped.items() if count)
            raise UserError(f"all {merged.read} training pairs were dropped ({reasons}); check data.cleaning")
        if compared:
            task = progress.add_task("finding duplicates", total=None)
            kept -= find_repeated([folder / WORK / f"clean-{i:05d}" for i in range(len(shards))])
            progress.update(task, total=1, completed=1)
        task = progress.add_task("training the tokenizer", total=None, visible=extend or len(given) < len(SIDES))
        write_tokenizers(config, folder, [report["kept"] for report in reports], kept, given, extend)
        progress.update(task, total=1, completed=1)
        common = {"held_out": held_out, "max_pieces": config.max_pieces}
        tasks = [
            ShardTask("encode", i, {"report": report} | common, report["kept"]) for i, report in enumerate(reports)
        ]
        encoded = run("encoding", tasks)
        return [result | {"direction": shard.get("direction")} for result, shard in zip(encoded, shards, strict=True)]


def begin(folder: Path) -> bool:
    """Prepare the output folder. Files left there without resumable state are deleted.

    Returns:
        Whether the corpus is complete, because the interruption happened while the temporary files were deleted.
    """
    if (folder / WORK).is_dir():
        log.info("continuing the interrupted preparation of the corpus in %s", folder)
        with suppress(UserError):
            Prepared(folder).check()
            shutil.rmtree(folder / WORK)
            return True
        return False
    for path in folder.iterdir():
        path.unlink()
    (folder / WORK).mkdir()
    return False


def merge_reports(reports: list[Result]) -> CleaningReport:
    """Return the report of all shards."""
    merged = CleaningReport()
    for report in reports:
        merged.add(CleaningReport.of(report))
    return merged


def sum_counts(folder: Path, shards: int) -> dict[str, dict[str, int]]:
    """Return the counts of held-out words over all shards, per side, reading one shard's counts at a time."""
    total: dict[str, dict[str, int]] = {side: {} for side in SIDES}
    for number in range(shards):
        counts = json.loads(words_file(folder, number).read_text(encoding="utf-8"))
        for side, sums in total.items():
            for word, count in counts[side].items():
                sums[word] = sums.get(word, 0) + count
    return total
