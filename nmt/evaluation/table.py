"""Scores as a person reads them."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nmt.console import harmless
from nmt.metrics import Score

SHOWN = {
    "bleu": ("BLEU", 1),
    "chrf": ("chrF", 1),
    "chrfpp": ("chrF++", 1),
    "ter": ("TER", 1),
    "rouge_l": ("ROUGE-L", 1),
    "perplexity": ("perplexity", 2),
    "perplexity_word": ("perplexity per word", 2),
    "perplexity_char": ("perplexity per character", 3),
    "comet": ("COMET", 4),
}
"""What each score is called, and how many of its digits after the point are worth printing."""


def show_scores(scores: dict[str, Score]) -> None:
    """Prints the scores as a table on a terminal, and elsewhere a line each with its signature on the next."""
    console = Console()
    table = Table("metric", "score", "95 % interval", "signature")
    for name, score in scores.items():
        label, digits = SHOWN[name]
        number = f"{score.score:.{digits}f}"
        interval = "" if score.interval is None else "[{:.{d}f}, {:.{d}f}]".format(*score.interval, d=digits)
        if console.is_terminal:
            table.add_row(label, number, interval, Text(harmless(score.signature)))
        else:
            print(f"{label} = {number} {interval}".rstrip() + f"\n{harmless(score.signature)}")
    if console.is_terminal:
        console.print(table)
