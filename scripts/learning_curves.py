"""Train an LSTM, an SSRU and a Transformer on the phrasebook, and draw their learning curves in one picture.

    python scripts/learning_curves.py                 # docs/pictures/learning_curves.png
    python scripts/learning_curves.py FOLDER PICTURE  # folder of the runs, path of the picture

Each system is trained with two learning rates; the picture shows the one with the lower validation perplexity. A
finished run is not trained again, and an interrupted one continues.
"""

import subprocess
import sys
from pathlib import Path

from nmt.lab.plots.curves import draw_curves
from nmt.run import RunDirectory, read_metrics

ROOT = Path(__file__).resolve().parent.parent
SYSTEMS = {
    "LSTM": ["model=lstm_tiny"],
    "SSRU": ["model=lstm_tiny", "model.encoder.cell=ssru", "model.decoder.cell=ssru"],
    "Transformer": [
        "model=transformer_tiny",
        "model.encoder.layers=2",
        "model.decoder.layers=2",
        "model.dropout=0.1",
        "model.encoder.pre_norm=true",
        "model.decoder.pre_norm=true",
    ],
}
LEARNING_RATES = ("4e-3", "8e-3")
TRAINING = [
    "experiment=phrasebook",
    "train.max_steps=500",
    "train.validate_every=50",
    "train.valid_sentences=200",
    "train.checkpoint_every=250",
    "machine.threads=1",
    "seed=1",
]


def main(folder: str = "runs/learning_curves", picture: str = "docs/pictures/learning_curves.png") -> None:
    curves = {}
    for name, overrides in SYSTEMS.items():
        runs = [train(Path(folder) / f"{name.lower()}.{rate}", rate, overrides) for rate in LEARNING_RATES]
        run = min(runs, key=lowest_perplexity)
        curves[f"{name}, {run.facts['parameters'] / 1e6:.2f} M parameters"] = read_metrics(run.metrics_path)
    draw_curves(curves, Path(picture))
    print(picture)


def lowest_perplexity(run: RunDirectory) -> float:
    """Return the lowest validation perplexity of a run."""
    return min(line["valid/perplexity"] for line in read_metrics(run.metrics_path) if "valid/perplexity" in line)


def train(path: Path, rate: str, overrides: list[str]) -> RunDirectory:
    """Train a run, unless it is finished.

    Raises:
        SystemExit: the command failed; its message is on standard error.
    """
    words = [*TRAINING, *overrides, f"optim.learning_rate={rate}", f"hydra.run.dir={path}", "train.resume=auto"]
    command = [sys.executable, str(ROOT / "scripts" / "train.py"), *words]
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    if code:
        raise SystemExit(code)
    return RunDirectory.open(str(path))


if __name__ == "__main__":
    main(*sys.argv[1:])
