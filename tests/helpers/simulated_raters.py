"""Simulated raters and campaigns for tests and for the transcript of docs/human_eval.md; no person judged anything."""

import csv
from collections.abc import Sequence
from pathlib import Path
from random import Random

from nmt.lab.judgements.answers import EQUAL, FIRST, SECOND, ErrorSpan, Rating, csv_lines
from nmt.lab.judgements.design import Design, JudgedItem, JudgedSystem, Sizes, make_design
from nmt.metrics import sentence_scores
from nmt.phrasebook import pairs

WORD_OF = {FIRST: "first", EQUAL: "equal", SECOND: "second"}
SIZES = Sizes(sentences=20, raters=2, ratings=2, repeats=3, damaged=3)


def phrasebook_systems(
    sentences: int, shares: Sequence[float], seed: int = 5
) -> tuple[list[str], list[str], list[JudgedSystem]]:
    """Return source, references and systems; a system breaks the given share of the references."""
    corpus = list(pairs(sentences, seed))
    systems = []
    for number, share in enumerate(shares):
        random = Random(f"system {seed} {number}")
        lines = [broken(pair.de, random) if random.random() < share else pair.de for pair in corpus]
        systems.append(JudgedSystem(f"system{number}", f"system{number}.txt", lines))
    return [pair.en for pair in corpus], [pair.de for pair in corpus], systems


def broken(text: str, random: Random) -> str:
    """Return the sentence without one of its words."""
    words = text.split()
    del words[random.randrange(len(words))]
    return " ".join(words)


def toy_design(kind: str = "da", shares: Sequence[float] = (0.1, 0.9), sizes: Sizes = SIZES, seed: int = 1) -> Design:
    src, references, systems = phrasebook_systems(60, shares)
    return make_design(kind, "toy", src, references, systems, sizes, seed)


class SimulatedRater:
    """A rater whose answer is sentence chrF against the reference, scaled, shifted and with noise."""

    def __init__(self, name: str, seed: int, bias: float = 0.0, scale: float = 1.0, noise: float = 5.0) -> None:
        self.name = name
        self.random = Random(seed)
        self.bias, self.scale, self.noise = bias, scale, noise

    def answers(self, design: Design, sheet: Sequence[JudgedItem]) -> list[Rating]:
        return [self.answer(design, item) for item in sheet]

    def answer(self, design: Design, item: JudgedItem) -> Rating:
        reference = design.segments[item.segment].reference
        rated = [self.rate(side.text, reference) for side in item.shown]
        if len(rated) == 2:
            close = abs(rated[0] - rated[1]) < self.noise
            return Rating(self.name, item.id, EQUAL if close else FIRST if rated[0] > rated[1] else SECOND)
        text = item.shown[0].text
        errors = [ErrorSpan("major" if rated[0] < 50 else "minor", text.split()[0], 0)] if rated[0] < 80 else []
        seconds = round(self.random.uniform(4, 30), 1)
        return Rating(self.name, item.id, float(round(rated[0])), errors if design.kind == "esa" else [], seconds)

    def rate(self, text: str, reference: str) -> float:
        quality = sentence_scores([text], [reference], "chrf", "13a")[0]
        return min(100.0, max(0.0, self.bias + self.scale * quality + self.random.gauss(0, self.noise)))


def fill_sheet(path: Path, design: Design, rater: SimulatedRater, target: Path) -> None:
    """Fill a sheet as a person does: read its rows and write the answers into the last columns."""
    with path.open(encoding="utf-8", newline="") as file:
        heading, *rows = csv.reader(file)
    items = design.items
    for row in rows:
        rating = rater.answer(design, items[row[0]])
        row[-1] = WORD_OF[rating.answer] if design.kind == "pairwise" else f"{rating.answer:g}"
        if design.kind == "esa":
            row[-2] = " | ".join(map(str, rating.errors))
    target.write_text("".join(f"{line}\n" for line in csv_lines([heading, *rows])), encoding="utf-8")
