"""Locations of a corpus's files: in the user's folder, downloaded, or generated."""

import hashlib
import itertools
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from stat import S_ISREG
from typing import Any

from nmt import phrasebook
from nmt.config import (
    SPLITS,
    DataConfig,
    DirectionConfig,
    PhrasebookConfig,
    StringsConfig,
    TextFiles,
    cache_dir,
    user_path,
)
from nmt.console import progress_bar
from nmt.data.json_files import read_json
from nmt.data.preprocessing import strings
from nmt.data.preprocessing.fetch import fetch, sha256_of
from nmt.data.preprocessing.locking import locked
from nmt.data.preprocessing.parallel_text import read_pairs
from nmt.data.preprocessing.strings import string_pairs
from nmt.data.source_form import tag_of
from nmt.errors import Unfinished, UserError

log = logging.getLogger(__name__)

KINDS = ("src", "tgt", "tsv")  # fields of `TextFiles`
PROGRESS_PAIRS = 1000  # pairs of the phrasebook between two reports of progress


@dataclass(frozen=True)
class Source:
    """Files of one split."""

    files: TextFiles
    folder: Path
    directions: tuple[tuple[str, str], ...] = ()
    """Direction such as `en-de` and tag of each file of `src` and of `tsv`, in this order; empty: no tags."""
    most: int | None = None
    """Number of pairs read from the start of the split; None reads all."""

    def pairs(self, most_bytes: float = float("inf")) -> Iterator[tuple[str, str]]:
        """Yield the raw sentence pairs of the split; raise UserError for a file of more than `most_bytes`."""
        tags = [tag for _, tag in self.directions]
        return itertools.islice(read_pairs(self.files, self.folder, most_bytes, tags), self.most)

    def paths(self) -> list[Path]:
        """Return the paths of all files: sources, targets, tab-separated files."""
        return [self.folder / name for name in [*self.files.src, *self.files.tgt, *self.files.tsv]]


def locate(config: DataConfig) -> dict[str, Source]:
    """Return the files of each split of the corpus, after downloading or generating missing files.

    Raises:
        UserError: a file or folder is missing, or a checksum does not match.
    """
    sources = locate_all_pairs(config)
    return sources | {"train": replace(sources["train"], most=config.most_pairs)}


def locate_all_pairs(config: DataConfig) -> dict[str, Source]:
    """Return the files of each split, regardless of `most_pairs`."""
    if not config.directions:
        return locate_direction(config)
    main = DirectionConfig(config.src_lang, config.tgt_lang, config.train, config.valid, config.test)
    parts = []
    for direction in (main, *config.directions):
        sources = locate_direction(replace(config, **vars(direction)))
        name = f"{direction.src_lang}-{direction.tgt_lang}", tag_of(direction.tgt_lang)
        parts.append({split: (source, name) for split, source in sources.items()})
    return {
        split: joined([part[split] for part in parts if split in part])
        for split in SPLITS
        if any(split in part for part in parts)
    }


def joined(parts: Sequence[tuple[Source, tuple[str, str]]]) -> Source:
    """Return the files of several directions, given with their name and tag, as one split."""
    files = TextFiles(*([name for source, _ in parts for name in getattr(source.files, kind)] for kind in KINDS))
    directions = [name for kind in ("src", "tsv") for source, name in parts for _ in getattr(source.files, kind)]
    return Source(files, parts[0][0].folder, tuple(directions))


def locate_direction(config: DataConfig) -> dict[str, Source]:
    """Return the files of each split of the direction `src_lang` to `tgt_lang`."""
    cache = cache_dir(config.cache)
    if config.phrasebook is not None:
        return write_phrasebook(config.phrasebook, config.src_lang, cache / "phrasebook")
    if config.strings is not None:
        return write_strings(config.strings, config.src_lang, config.tgt_lang, cache / "strings")
    return locate_files(config, {name: files for name in SPLITS if not (files := getattr(config, name)).empty})


def locate_test_set(config: DataConfig, name: str) -> Source:
    """Return the files of a further test set, after downloading them if the mirror does not have them.

    Raises:
        UserError: a file is missing or cannot be downloaded, or a checksum does not match.
    """
    if config.mirror is not None:
        absent = [path for path in config.paths(name) if not (user_path(config.mirror) / path).exists()]
        if absent:
            log.warning("data.mirror=%s does not have %s; downloading", config.mirror, ", ".join(absent))
            config = replace(config, mirror=None)
    return locate_files(config, {name: config.tests[name]})[name]


def locate_files(config: DataConfig, splits: dict[str, TextFiles]) -> dict[str, Source]:
    """Return the files of some splits of a corpus that is not generated, after downloading missing files."""
    if config.download is not None:
        paths = [path for files in splits.values() for path in [*files.src, *files.tgt, *files.tsv]]
        folder = cache_dir(config.cache) / "downloads" / hashlib.sha256(config.download.url.encode()).hexdigest()[:16]
        mirror = user_path(config.mirror) if config.mirror is not None else None
        fetch(config.download, folder, mirror, paths)
        return {name: Source(files, mirror or folder) for name, files in splits.items()}
    assert config.root is not None
    root = user_path(config.root)
    if not root.is_dir():
        raise UserError(f"data.root={config.root} is not a folder; set it to the folder of the corpus files")
    return {name: Source(files, root) for name, files in splits.items()}


def write_phrasebook(config: PhrasebookConfig, src_lang: str, folder: Path) -> dict[str, Source]:
    """Write the phrasebook corpus to files, once per setting and version of the grammar."""
    grammar = [sha256_of(path) for path in sorted(Path(phrasebook.__file__).parent.glob("*.py"))]
    sizes = {split: getattr(config, split) for split in SPLITS}
    target = folder / settings_key([asdict(config), grammar])

    def fill(partial: Path) -> None:
        pairs = phrasebook.splits(**sizes, seed=config.seed, depth=config.depth)
        write_pairs("the phrasebook", pairs, sizes, ("en", "de"), partial)

    make_once(target, fill)
    return generated_files(target, src_lang, "de" if src_lang == "en" else "en")


def write_strings(config: StringsConfig, src_lang: str, tgt_lang: str, folder: Path) -> dict[str, Source]:
    """Write the corpus of random strings to files, once per setting and version of the generator."""
    sizes = {split: getattr(config, split) for split in SPLITS}
    languages = (src_lang, tgt_lang)
    target = folder / settings_key([asdict(config), src_lang, tgt_lang, sha256_of(Path(strings.__file__))])
    make_once(target, lambda partial: write_pairs("strings", string_pairs(config), sizes, languages, partial))
    return generated_files(target, src_lang, tgt_lang)


def settings_key(parts: list[Any]) -> str:
    """Return the name of the folder of a generated corpus: a digest of everything that its text depends on."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def generated_files(folder: Path, src_lang: str, tgt_lang: str) -> dict[str, Source]:
    """Return the files of each split of a generated corpus."""
    return {
        split: Source(TextFiles(src=[f"{split}.{src_lang}"], tgt=[f"{split}.{tgt_lang}"]), folder) for split in SPLITS
    }


def write_pairs(
    name: str,
    splits: Mapping[str, Iterable[tuple[str, str]]],
    sizes: Mapping[str, int],
    languages: tuple[str, str],
    folder: Path,
) -> None:
    """Write both sides of each split of a generated corpus into a folder, with a progress bar.

    Args:
        name: name of the corpus in the bar.
        splits: pairs of each split.
        sizes: number of pairs of each split.
        languages: languages of the sides of a pair, which are the suffixes of the files.
        folder: existing folder.
    """
    with progress_bar() as progress:
        task = progress.add_task(f"drawing {name}", total=sum(sizes.values()))
        for split, pairs in splits.items():
            paths = [folder / f"{split}.{language}" for language in languages]
            with paths[0].open("w", encoding="utf-8") as first, paths[1].open("w", encoding="utf-8") as second:
                for number, (one, other) in enumerate(pairs, start=1):
                    first.write(one + "\n")
                    second.write(other + "\n")
                    if number % PROGRESS_PAIRS == 0 or number == sizes[split]:
                        progress.advance(task, (number - 1) % PROGRESS_PAIRS + 1)


def make_once(target: Path, fill: Callable[[Path], None], keep: bool = False) -> None:
    """Create a folder atomically, unless it exists. A lock keeps other processes out meanwhile.

    Args:
        target: the folder.
        fill: function that writes the content into a temporary folder, which is then renamed.
        keep: keep the temporary folder after an interruption and give it to `fill` again. After a user's mistake it is
            deleted, because corrected files or settings lead to another target.

    Raises:
        Unfinished: the folder cannot be written, for example because the disk is full.
    """
    with locked(Path(f"{target}.lock")):
        if target.exists():
            return
        partial = target.with_name(f"{target.name}.tmp")
        if partial.is_symlink():
            partial.unlink()  # the program never creates a symbolic link here
        if not keep:
            shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
        try:
            partial.mkdir(exist_ok=keep)
            fill(partial)
            os.replace(partial, target)
        except BaseException as error:
            if not keep or (isinstance(error, UserError) and not isinstance(error, Unfinished)):
                shutil.rmtree(partial, ignore_errors=True)
            if isinstance(error, OSError):
                raise write_error(error, partial) from error
            raise


def write_error(error: OSError, folder: Path) -> Unfinished:
    """Return an operating-system error while writing into a folder as one line."""
    where, why = error.filename or folder, error.strerror or error
    return Unfinished(f"{where}: {why}; fix that and run the same command again: it continues from the finished parts")


class Fingerprints:
    """SHA-256 of files, cached by size and times of change, so that a later run does not read the corpus again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changed = False
        try:
            known = read_json(path)
        except (OSError, ValueError):
            known = None
        self.known: dict[str, Any] = known if isinstance(known, dict) else {}

    def of(self, path: Path) -> str:
        """Return the SHA-256 of a file.

        Raises:
            UserError: the file cannot be read.
        """
        try:
            stat = path.stat()
            if not S_ISREG(stat.st_mode):
                raise UserError(
                    f"{path} is not a regular file, but a corpus is read several times, and again when a training is "
                    "resumed; write the pipe to a file and name that file in the data configuration"
                )
            # The ctime cannot be set by programs. The mtime of another file may be equal, after a copy for example.
            stamp: list[object] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
            entry = self.known.get(str(path.absolute()))
            if not isinstance(entry, list) or entry[:-1] != stamp:
                entry = [*stamp, sha256_of(path)]
                self.known[str(path.absolute())] = entry
                self.changed = True
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; check the path in the data configuration") from None
        return str(entry[-1])

    def save(self) -> None:
        """Write new fingerprints to the cache file."""
        if not self.changed:
            return
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(self.known), encoding="utf-8")
        os.replace(temporary, self.path)
