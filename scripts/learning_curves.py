"""Train an LSTM, an SSRU and a Transformer on the phrasebook, and draw their learning curves in one picture.

    python scripts/learning_curves.py                 # docs/pictures/learning_curves.png
    python scripts/learning_curves.py FOLDER PICTURE  # folder of the runs, path of the picture

A finished run is not trained again, and an interrupted one continues.
"""

import subprocess
import sys
from pathlib import Path

from nmt.lab.plots.curves import draw_curves
from nmt.run import RunDirectory, read_metrics

ROOT = Path(__file__).resolve().parent.parent
SYSTEMS = {
    "LSTM": ["model=lstm_tiny"],
    "SSRU": ["model=lstm_tiny", "model.cell=ssru"],
    "Transformer": [
        "model=transformer_tiny",
        "model.encoder_layers=2",
        "model.decoder_layers=2",
        "model.dropout=0.1",
        "model.pre_norm=true",
    ],
}
TRAINING = [
    "experiment=phrasebook",
    "optim.learning_rate=4e-3",
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
        path = Path(folder) / name.lower()
        train([*TRAINING, *overrides, f"hydra.run.dir={path}", "train.resume=auto"])
        run = RunDirectory.open(str(path))
        millions = run.facts["parameters"] / 1e6
        curves[f"{name}, {millions:.2f} M parameters"] = read_metrics(run.metrics_path)
    draw_curves(curves, Path(picture))
    print(picture)


def train(overrides: list[str]) -> None:
    """Run the train command.

    Raises:
        SystemExit: the command failed; its message is on standard error.
    """
    command = [sys.executable, str(ROOT / "scripts" / "train.py"), *overrides]
    code = subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode
    if code:
        raise SystemExit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
