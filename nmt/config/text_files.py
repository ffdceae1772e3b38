"""Files of one split of a corpus."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class TextFiles:
    """Files of one split: either parallel files per side, or tab-separated files."""

    src: list[str] = field(default_factory=list)
    """Source files, relative to the corpus folder: plain text or `.gz`, UTF-8, one sentence per line."""
    tgt: list[str] = field(default_factory=list)
    """Target files, one per file of `src` and in the same order."""
    tsv: list[str] = field(default_factory=list)
    """Files with source and target in the first two tab-separated columns; replaces `src` and `tgt`."""

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.tsv and (self.src or self.tgt):
            yield "tsv", "is given together with src or tgt; give either tsv, or both src and tgt"
        if len(self.src) != len(self.tgt):
            yield (
                "src",
                f"has {len(self.src)} files but tgt has {len(self.tgt)}; give the same number of files for both",
            )

    @property
    def empty(self) -> bool:
        return not (self.src or self.tgt or self.tsv)
