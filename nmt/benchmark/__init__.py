"""How fast: figures of training, decoding, preparation and start, in base units, beside the machine's own peak."""

from nmt.benchmark.checkpoint import CheckpointBenchmark
from nmt.benchmark.decoding import DecodingBenchmark
from nmt.benchmark.figures import Benchmark, Figures, busy_neighbours, matmul_peak, median, spread
from nmt.benchmark.preparation import PreparationBenchmark
from nmt.benchmark.startup import StartupBenchmark
from nmt.benchmark.training import TrainingBenchmark

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
