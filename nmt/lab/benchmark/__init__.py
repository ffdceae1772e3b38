"""Benchmarks of training, decoding, preparation and start-up, in base units, with the matrix-product peak."""

from nmt.lab.benchmark.checkpoint import CheckpointBenchmark
from nmt.lab.benchmark.decoding import DecodingBenchmark
from nmt.lab.benchmark.figures import Benchmark, Figures, busy_neighbours, matmul_peak, median, spread
from nmt.lab.benchmark.preparation import PreparationBenchmark
from nmt.lab.benchmark.startup import StartupBenchmark
from nmt.lab.benchmark.training import TrainingBenchmark

__all__ = [
    "Benchmark",
    "CheckpointBenchmark",
    "DecodingBenchmark",
    "Figures",
    "PreparationBenchmark",
    "StartupBenchmark",
    "TrainingBenchmark",
    "busy_neighbours",
    "matmul_peak",
    "median",
    "spread",
]
