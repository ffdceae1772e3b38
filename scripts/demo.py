"""Demonstration on the embedded corpus: train, score, translate, plot attention, write a report."""

import json
import subprocess
import sys
import time
from pathlib import Path

import torch

from nmt.decoding import Translator, load_translator
from nmt.evaluation import draw_attention
from nmt.lab.report.facts import collect_facts
from nmt.lab.report.page import write_report
from nmt.run import RunDirectory

ROOT = Path(__file__).resolve().parent.parent
SENTENCES = 5
SCORES = {"bleu": "BLEU", "chrf": "chrF"}


def main() -> None:
    folder = Path("runs") / time.strftime("demo_%Y-%m-%d_%H-%M-%S")
    print(f"Training a small LSTM with attention in {folder} (about 3 minutes)", file=sys.stderr)
    train(folder, sys.argv[1:])
    run = RunDirectory.open(str(folder))
    translator, _ = load_translator(run, "best", run.config().search, torch.device("cpu"))
    report, card = write_report(collect_facts(run, "test", torch.device("cpu")), folder)
    sources, references = (lines[:SENTENCES] for lines in run.text("test"))
    translations = [best.text for best, *_ in translator.translate(sources)]
    heat_map = plot_attention(translator, sources, translations, folder / "plots" / "attention.png")

    for source, translation, reference in zip(sources, translations, references, strict=True):
        print(f"source       {source}\ntranslation  {translation}\nreference    {reference}\n")
    scores = json.loads((folder / "scores" / "test.json").read_text(encoding="utf-8"))
    for name, label in SCORES.items():
        print(f"{label} = {scores[name]['score']:.1f}\n{scores[name]['signature']}")
    print(f"\nrun directory: {folder}\nattention heat map: {heat_map}\nmodel card: {card}\n")
    print("What to do next:")
    print(f"  1. read the report:    {report}")
    print(f"  2. translate yourself: .venv/bin/python scripts/translate.py run={folder}")
    print("  3. train on real text: .venv/bin/python scripts/train.py experiment=multi30k_en_de_fast")


def train(folder: Path, overrides: list[str]) -> None:
    """Run the train command. On a terminal it shows a progress bar with the time left.

    Raises:
        SystemExit: the command failed; its message is on standard error.
    """
    command = [sys.executable, str(ROOT / "scripts/train.py"), "experiment=phrasebook", f"hydra.run.dir={folder}"]
    code = subprocess.run([*command, *overrides], stdout=subprocess.DEVNULL, check=False).returncode
    if code:
        raise SystemExit(code)


def plot_attention(translator: Translator, sources: list[str], translations: list[str], path: Path) -> Path:
    """Plot the attention weights of the longest source sentence."""
    source, translation = max(zip(sources, translations, strict=True), key=lambda pair: len(pair[0]))
    attention = translator.attention(source, translation)
    assert attention is not None
    draw_attention(attention, path)
    return path


if __name__ == "__main__":
    main()
