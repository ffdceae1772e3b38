"""Lines a second from files to ids, and how soon a second run starts."""

import tempfile
from dataclasses import replace
from pathlib import Path

from nmt.benchmark.figures import Figures, peak_memory, timed
from nmt.config import Config
from nmt.data import locate, prepare


class PreparationBenchmark:
    """Prepares the corpus in a new cache each time; what is fetched or written by the phrasebook is there before."""

    def __init__(self, config: Config) -> None:
        sources = locate(config.data)
        self.data = replace(config.data, download=None, mirror=None, phrasebook=None)
        self.data.root = str(sources["train"].folder)
        for split, source in sources.items():
            setattr(self.data, split, source.files)
        self.bytes = sum(path.stat().st_size for path in sources["train"].paths())

    def repeat(self) -> Figures:
        with tempfile.TemporaryDirectory(prefix="nmt-benchmark-") as cache:
            data = replace(self.data, cache=cache)
            seconds = timed(lambda: prepare(data))
            again = timed(lambda: prepare(data))
            lines = len(prepare(data).store("train"))
            kept = sum(file.stat().st_size for file in Path(cache).rglob("*") if file.is_file())
        return {
            "lines_per_second": lines / seconds,
            "mib_per_second": self.bytes / 2**20 / seconds,
            "seconds": seconds,
            "seconds_second_time": again,
            "cache_bytes": kept,
            "peak_rss_bytes": peak_memory(),
        }
