"""Where a corpus' files are: in the user's folder, fetched, or written by the phrasebook."""

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from stat import S_ISREG
from typing import Any

from nmt import phrasebook
from nmt.config import DataConfig, PhrasebookConfig, TextFiles, cache_dir, path_of
from nmt.console import progress_bar
from nmt.data.json_files import read_json
from nmt.data.preprocessing.fetch import fetch, sha256_of
from nmt.data.preprocessing.locking import locked
from nmt.data.preprocessing.parallel_text import read_pairs
from nmt.errors import Unfinished, UserError

SPLITS = ("train", "valid", "test")
TOLD_EVERY = 1000  # pairs of the phrasebook


@dataclass(frozen=True)
class Source:
    """The files of one split."""

    files: TextFiles
    folder: Path
    most: int | None = None
    """Pairs that are read of them, the first ones; None: all."""

    def pairs(self, most_bytes: float = float("inf")) -> Iterator[tuple[str, str]]:
        """The split's sentence pairs, as they stand in the files, of which none may have more than `most_bytes`."""
        return itertools.islice(read_pairs(self.files, self.folder, most_bytes), self.most)

    def paths(self) -> list[Path]:
        return [self.folder / name for name in [*self.files.src, *self.files.tgt, *self.files.tsv]]


def locate(config: DataConfig) -> dict[str, Source]:
    """The files of each split that the corpus has, fetched or written if they are not there yet.

    Raises:
        UserError: a file or folder is missing, or fails its checksum.
    """
    sources = located(config)
    return sources | {"train": replace(sources["train"], most=config.most_pairs)}


def located(config: DataConfig) -> dict[str, Source]:
    """The same, with all of the training pairs."""
    if config.phrasebook is not None:
        return write_phrasebook(config.phrasebook, config.src_lang, cache_dir(config.cache) / "phrasebook")
    splits = {name: files for name in SPLITS if not (files := getattr(config, name)).empty}
    if config.download is not None:
        paths = [path for files in splits.values() for path in [*files.src, *files.tgt, *files.tsv]]
        folder = cache_dir(config.cache) / "downloads" / hashlib.sha256(config.download.url.encode()).hexdigest()[:16]
        mirror = path_of(config.mirror) if config.mirror is not None else None
        fetch(config.download, folder, mirror, paths)
        return {name: Source(files, mirror or folder) for name, files in splits.items()}
    assert config.root is not None
    root = path_of(config.root)
    if not root.is_dir():
        raise UserError(f"data.root={config.root} is not a folder; name the one that holds the corpus files")
    return {name: Source(files, root) for name, files in splits.items()}


def write_phrasebook(config: PhrasebookConfig, src_lang: str, folder: Path) -> dict[str, Source]:
    """Writes the embedded corpus to files, once for each setting and each version of the grammar."""
    grammar = [sha256_of(path) for path in sorted(Path(phrasebook.__file__).parent.glob("*.py"))]
    key = hashlib.sha256(json.dumps([asdict(config), grammar]).encode()).hexdigest()[:16]
    target = folder / key
    make_once(target, lambda partial: write_sentences(config, partial))
    tgt_lang = "de" if src_lang == "en" else "en"
    return {
        split: Source(TextFiles(src=[f"{split}.{src_lang}"], tgt=[f"{split}.{tgt_lang}"]), target) for split in SPLITS
    }


def write_sentences(config: PhrasebookConfig, folder: Path) -> None:
    sizes = {split: getattr(config, split) for split in SPLITS}
    with progress_bar() as progress:
        task = progress.add_task("drawing the phrasebook", total=sum(sizes.values()))
        for split, pairs in phrasebook.splits(**sizes, seed=config.seed, depth=config.depth).items():
            with (
                (folder / f"{split}.en").open("w", encoding="utf-8") as english,
                (folder / f"{split}.de").open("w", encoding="utf-8") as german,
            ):
                for number, pair in enumerate(pairs, start=1):
                    english.write(pair.en + "\n")
                    german.write(pair.de + "\n")
                    if number % TOLD_EVERY == 0 or number == sizes[split]:
                        progress.advance(task, (number - 1) % TOLD_EVERY + 1)


def make_once(target: Path, fill: Callable[[Path], None], keep: bool = False) -> None:
    """Makes a folder unless it is there; `fill` writes what is in it. Nobody ever sees half of it.

    Args:
        target: the folder.
        fill: is given another one, empty.
        keep: gives `fill` what it wrote before it was stopped. Not what it wrote before a user's mistake, which other
            files or settings, and so another folder, will mend.

    Raises:
        Unfinished: the disk is full, or does not let it write.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(Path(f"{target}.lock")):
        if target.exists():
            return
        partial = target.with_name(f"{target.name}.tmp")
        if partial.is_symlink():
            partial.unlink()  # what it points to is nothing of ours
        if not keep:
            shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
        try:
            partial.mkdir(exist_ok=keep)
            fill(partial)
            os.replace(partial, target)
        except BaseException as error:
            if not keep or (isinstance(error, UserError) and not isinstance(error, Unfinished)):
                shutil.rmtree(partial, ignore_errors=True)
            if isinstance(error, OSError):
                raise stopped(error, partial) from error
            raise


def stopped(error: OSError, folder: Path) -> Unfinished:
    """What the disk said while something was written into a folder, in one line."""
    where, why = error.filename or folder, error.strerror or error
    return Unfinished(f"{where}: {why}; mend that and give the same command again: it goes on from what is finished")


class Fingerprints:
    """SHA-256 of files, remembered by size and times of change, so that a second run need not read the corpus."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.changed = False
        try:
            known = read_json(path)
        except (OSError, ValueError):
            known = None
        self.known: dict[str, Any] = known if isinstance(known, dict) else {}

    def of(self, path: Path) -> str:
        """The file's SHA-256.

        Raises:
            UserError: the file cannot be read.
        """
        try:
            stat = path.stat()
            if not S_ISREG(stat.st_mode):
                raise UserError(
                    f"{path} is not a file: a corpus is read several times, and again when a training is continued; "
                    "write the pipe to a file and name that in the data configuration"
                )
            # The second time cannot be set: a copy or an archive may bring another file with the same first one.
            mark: list[object] = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
            entry = self.known.get(str(path.absolute()))
            if not isinstance(entry, list) or entry[:-1] != mark:
                entry = [*mark, sha256_of(path)]
                self.known[str(path.absolute())] = entry
                self.changed = True
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; check the path in the data configuration") from None
        return str(entry[-1])

    def save(self) -> None:
        if not self.changed:
            return
        temporary = self.path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(self.known), encoding="utf-8")
        os.replace(temporary, self.path)
