"""The main job on the embedded corpus: train, score, translate five sentences, draw where the model looked, report."""

import json
import subprocess
import sys
import time
from pathlib import Path

import torch

from nmt.decoding import load_translator
from nmt.evaluation import draw_attention
from nmt.lab.report.facts import facts_of
from nmt.lab.report.page import write_report
from nmt.run import RunDirectory

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    folder = Path("runs") / time.strftime("demo_%Y-%m-%d_%H-%M-%S")
    command = [sys.executable, str(ROOT / "scripts/train.py"), "experiment=phrasebook", f"hydra.run.dir={folder}"]
    trained = subprocess.run([*command, *sys.argv[1:]], stdout=subprocess.DEVNULL, check=False)
    if trained.returncode:
        raise SystemExit(trained.returncode)

    run = RunDirectory.open(str(folder))
    translator, _ = load_translator(run, "best", run.config().search, torch.device("cpu"))
    sentences, references = (lines[:5] for lines in run.text("test"))
    translations = [best.text for best, *_ in translator.translate(sentences)]
    for source, translation, reference in zip(sentences, translations, references, strict=True):
        print(f"source       {source}\ntranslation  {translation}\nreference    {reference}\n")

    picture = folder / "plots" / "attention.png"
    longest = max(range(len(sentences)), key=lambda i: len(sentences[i]))
    attention = translator.attention(sentences[longest], translations[longest])
    assert attention is not None
    draw_attention(attention, picture)

    scores = json.loads((folder / "scores" / "test.json").read_text(encoding="utf-8"))
    for name, label in (("bleu", "BLEU"), ("chrf", "chrF")):
        print(f"{label} = {scores[name]['score']:.1f}\n{scores[name]['signature']}")
    print(f"run directory: {folder}")
    print(f"attention heat map: {picture}")
    report, card = write_report(facts_of(run, "test", torch.device("cpu")), folder)
    print(f"report of the run: {report}, and its model card: {card}")
    print(f"translate interactively: .venv/bin/python scripts/translate.py run={folder}")


if __name__ == "__main__":
    main()
