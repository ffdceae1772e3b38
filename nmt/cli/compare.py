"""nmt-compare: compare runs by scores with intervals and tests, costs, length, word frequency and sentences."""

import logging
import sys

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.run_words import with_runs_as_key
from nmt.config import CompareConfig, from_hydra
from nmt.lab.comparison.compare import Comparison
from nmt.lab.comparison.report import comparison_tables, show_tables, write_comparison
from nmt.lab.comparison.systems import gather
from nmt.lab.judgements.column import human_column
from nmt.lab.plots.compare import draw_comparison

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    config = from_hydra(CompareConfig, cfg)
    folder = None if config.output is None else app.new_path(config.output)
    systems, test = gather(config.runs, config.split, config.metric, config.testset, config.data)
    extra = {}
    if config.judgements is not None:
        extra["human"] = human_column(systems, test, config.judgements, config.exclude_failed)
    comparison = Comparison(systems, test, config.metric, extra)
    differences = comparison.differences(config.sentences) if config.sentences else []
    breakdowns = comparison.breakdowns(config.buckets)
    try:
        show_tables(comparison_tables(comparison, breakdowns, differences))
        sys.stdout.flush()
    finally:  # write the files even if standard output fails, and show the tables even if the files cannot be written
        if folder is not None:
            folder.mkdir(parents=True)
            write_comparison(comparison, breakdowns, differences, folder)
            draw_comparison(comparison, breakdowns, folder / "compare.png")
            log.info("wrote compare.md, compare.json and compare.png to %s", folder)


def main() -> None:
    sys.argv[1:] = with_runs_as_key(sys.argv[1:])
    app.run("compare", command)


if __name__ == "__main__":
    main()
