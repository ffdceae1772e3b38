"""nmt-table: write the table of a paper, scores on every test set with mean and spread over seeds."""

import logging
import sys

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.run_words import with_runs_as_key
from nmt.config import TableConfig, from_hydra
from nmt.lab.comparison.latex import write_tables
from nmt.lab.comparison.paper_table import paper_tables
from nmt.lab.comparison.report import show_tables

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    config = from_hydra(TableConfig, cfg)
    folder = None if config.output is None else app.new_path(config.output)
    tables = paper_tables(config.runs, config.metrics)
    if folder is not None:
        folder.mkdir(parents=True)
        for path in write_tables(tables, folder / "table"):
            log.info("wrote %s", path)
    show_tables(tables)


def main() -> None:
    sys.argv[1:] = with_runs_as_key(sys.argv[1:])
    app.run("table", command)


if __name__ == "__main__":
    main()
