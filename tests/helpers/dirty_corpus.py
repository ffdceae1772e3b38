"""A small corpus with pairs that cleaning drops, in any number of files."""

import gzip
from dataclasses import replace
from pathlib import Path

from nmt import phrasebook
from nmt.config import DataConfig, TextFiles, TokenizerConfig, TokenizerType

PAIRS = [(pair.en, pair.de) for pair in phrasebook.pairs(90, seed=7)]
# Near and distant duplicates, pairs of the held-out sets, empty sides, and text that normalisation changes.
DIRTY = [
    *PAIRS[:30],
    *PAIRS[10:13],
    (PAIRS[0][0], ""),
    *((f"  {src} ", tgt) for src, tgt in PAIRS[20:60]),
    PAIRS[82],
    *PAIRS[5:9],
    *PAIRS[55:80],
]
SMALL = TokenizerConfig(type=TokenizerType.bpe, vocab_size=110, max_lines=35)


def write(path: Path, lines: list[str], packed: bool = False) -> str:
    """Write lines to a file, compressed or not, and return its name."""
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    return path.name


def corpus(folder: Path, parts: int = 1, packed: bool = False, **settings: object) -> DataConfig:
    """Write `DIRTY` into `parts` files of similar length and return its configuration."""
    folder.mkdir(exist_ok=True)
    size = -(-len(DIRTY) // parts)
    train = TextFiles()
    for part in range(parts):
        chunk = DIRTY[part * size : (part + 1) * size]
        train.src.append(write(folder / f"{part}.en", [src for src, _ in chunk], packed))
        train.tgt.append(write(folder / f"{part}.de", [tgt for _, tgt in chunk], packed))
    valid = TextFiles(tsv=[write(folder / "valid.tsv", [f"{src}\t{tgt}" for src, tgt in PAIRS[80:]])])
    config = DataConfig(root=str(folder), cache=str(folder / "cache"), tokenizer=SMALL, train=train, valid=valid)
    return replace(replace(config, workers=1), **settings)  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, bytes]:
    """Return the contents of the files of a folder by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
