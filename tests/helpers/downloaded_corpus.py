"""Stand-ins for a corpus on a web server: training files, and test sets that were published later."""

import gzip
from pathlib import Path

from nmt import phrasebook
from nmt.config import DataConfig, TextFiles, TokenizerConfig
from nmt.config.data import DownloadConfig
from nmt.data import sha256_of

LATER = ("test_2017_flickr", "test_2018_flickr")
SENTENCES = 6


def write_files(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Write both sides of some splits of the phrasebook; return the SHA-256 of each file by its name."""
    sizes = {name: 150 if name == "train" else SENTENCES for name in ("train", "val", "test_2016_flickr", *LATER)}
    pairs = list(phrasebook.splits(sum(sizes.values()), 1, 1, seed=1, depth=1)["train"])
    start, digests = 0, {}
    for name, size in sizes.items():
        part, start = pairs[start : start + size], start + size
        for side in ("en", "de"):
            if name in names:
                path = folder / "raw" / f"{name}.{side}.gz"
                path.parent.mkdir(parents=True, exist_ok=True)
                text = "".join(f"{getattr(pair, side)}\n" for pair in part)
                path.write_bytes(gzip.compress(text.encode(), mtime=0))
                digests[f"raw/{path.name}"] = sha256_of(path)
    return digests


def files(name: str) -> TextFiles:
    return TextFiles(src=[f"raw/{name}.en.gz"], tgt=[f"raw/{name}.de.gz"])


def corpus(url: str, digests: dict[str, str], cache: Path) -> DataConfig:
    """Return the corpus at an address, with the test sets of `LATER`."""
    return DataConfig(
        name="captions",
        download=DownloadConfig(url=url, sha256=digests),
        train=files("train"),
        valid=files("val"),
        test=files("test_2016_flickr"),
        tests={name: files(name) for name in LATER},
        tokenizer=TokenizerConfig(vocab_size=120),
        cache=str(cache),
    )
