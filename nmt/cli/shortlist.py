"""nmt-shortlist: build the tables of search.shortlist for a run, and print how much of the references they cover."""

import time

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from nmt.cli import app
from nmt.config import ShortlistConfig, from_hydra
from nmt.decoding.shortlist_files import build_shortlist, validation_coverage
from nmt.run import RunDirectory


def command(cfg: DictConfig) -> None:
    config = from_hydra(ShortlistConfig, cfg)
    run = RunDirectory.open(config.run)
    src, tgt = run.tokenizer("src"), run.tokenizer("tgt")
    begin = time.perf_counter()
    shortlist = build_shortlist(run, src, tgt, config.pairs)
    print(f"built in {time.perf_counter() - begin:.1f} s: {run.path / 'shortlist'}")
    table = Table("search.shortlist", "reference pieces", "whole sentences", title=f"vocabulary of {tgt.size:,} pieces")
    for size in config.sizes:
        covered = validation_coverage(run, shortlist, size)
        if covered is not None:
            table.add_row(f"{size:,}", f"{covered.tokens:.2%}", f"{covered.sentences:.1%}")
    if table.rows:
        Console(width=100).print(table)
    else:
        print("the run has no validation set, so that no coverage is computed")


def main() -> None:
    app.run("shortlist", command)


if __name__ == "__main__":
    main()
