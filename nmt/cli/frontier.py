"""scripts/frontier.py: measure BLEU and the speed of translation of several models, and draw them."""

import logging
import sys
from dataclasses import replace

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.decoding_benchmark import build_decoding_benchmark, select_precision
from nmt.config import Config, FrontierConfig, FrontierPoint, Precision, from_hydra, user_path
from nmt.errors import UserError
from nmt.export import is_export
from nmt.lab.benchmark.decoding import DecodingBenchmark
from nmt.lab.benchmark.frontier import Frontier, frontier_table, measure_points, write_frontier
from nmt.lab.benchmark.peer_points import PeerPoints, read_peer_points
from nmt.lab.benchmark.peers import warn_of_machines
from nmt.lab.comparison.report import show_tables
from nmt.lab.plots.frontier import draw_frontier
from nmt.metrics import check_tokenizer
from nmt.run import provenance
from nmt.runtime import setup_runtime

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    config = from_hydra(FrontierConfig, cfg)
    folder = app.new_path(config.output)
    peers = None if config.peers is None else read_peers(config)
    points, benchmarks = zip(*(build_point(config, point) for point in config.points), strict=True)
    check_tokenizer(benchmarks[0].bleu_tokenize)
    made_by = provenance([])  # the number of threads is set
    measured = measure_points(points, benchmarks, config.repeats)
    frontier = Frontier(benchmarks[0].test, measured, config.repeats, made_by, peers, config.bleu_from)
    if peers is not None and peers.points:
        warn_of_machines(peers, frontier.machine, user_path(str(config.peers)))
    try:
        show_tables([frontier_table(frontier)])
        sys.stdout.flush()
    finally:  # write the files even if standard output fails, and show the table even if the files cannot be written
        folder.mkdir(parents=True)
        write_frontier(frontier, folder)
        draw_frontier(frontier, folder / "frontier.png")
        log.info("wrote frontier.json, frontier.md and frontier.png to %s", folder)


def read_peers(config: FrontierConfig) -> PeerPoints:
    """Read the points of other toolkits with the beam sizes of the points; warn if there are none."""
    beam_sizes = sorted({point.beam_size for point in config.points})
    peers = read_peer_points(user_path(str(config.peers)), beam_sizes)
    if not peers.points:
        log.warning(
            "peers=%s has no decoding with beam %s with the keys bleu and n (docs/peers.md); no other toolkit is drawn",
            config.peers,
            " or ".join(map(str, beam_sizes)),
        )
    return peers


def build_point(config: FrontierConfig, point: FrontierPoint) -> tuple[FrontierPoint, DecodingBenchmark]:
    """Return a point with the precision that is measured, and its benchmark.

    Raises:
        UserError: the run or the exported folder cannot be used with these settings; the error names the point.
    """
    settings = config.benchmark(point)
    try:
        precision = select_precision(settings)
        if is_export(user_path(point.run)) and point.precision not in (Precision.auto, precision):
            raise UserError(
                f"precision is {point.precision}, but {point.run} was exported in {precision}; use auto or {precision}"
            )
        runtime = setup_runtime(replace(settings.machine(), precision=precision))
        benchmark = build_decoding_benchmark(settings, Config(data=config.data), runtime, config.split)
    except UserError as error:
        raise UserError(f"points: {point.label}: {error}") from None
    return replace(point, precision=precision), benchmark


def main() -> None:
    app.run("frontier", command)


if __name__ == "__main__":
    main()
