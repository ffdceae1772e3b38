"""Table of scores for the terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nmt.console import escape_control_characters
from nmt.metrics import UNITS, Score

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
    "human": ("human", 3),
}
"""Title of each score, and the number of decimals to print."""
LOWER_IS_BETTER = ("ter", "perplexity", "perplexity_word", "perplexity_char")


def title_of(name: str, signature: str = "") -> str:
    """Return the title of a score. For a tokenizer of text without spaces, the title names the counted unit."""
    title = SHOWN[name][0] if name in SHOWN else name
    tok = next((part.removeprefix("tok:") for part in signature.split("|") if part.startswith("tok:")), "")
    tokenizer = next((name for name in UNITS if tok == name or tok.startswith(f"{name}-")), None)
    if tokenizer is None or name not in ("chrfpp", "perplexity_word"):
        return f"{title} (asian)" if name == "ter" and "asian:yes" in signature.split("|") else title
    unit = f"{UNITS[tokenizer]} ({tokenizer})"
    return f"perplexity per {unit}" if name == "perplexity_word" else f"{title} of {UNITS[tokenizer]}s ({tokenizer})"


def show_scores(scores: dict[str, Score]) -> None:
    """Print the scores: a table on a terminal, otherwise one line per score with its signature on the next line."""
    console = Console()
    table = Table("metric", "score", "95 % interval", "signature")
    for name, score in scores.items():
        label, digits = title_of(name, score.signature), SHOWN[name][1]
        number = f"{score.score:.{digits}f}"
        interval = "" if score.interval is None else "[{:.{d}f}, {:.{d}f}]".format(*score.interval, d=digits)
        if console.is_terminal:
            table.add_row(label, number, interval, Text(escape_control_characters(score.signature)))
        else:
            print(f"{label} = {number} {interval}".rstrip() + f"\n{escape_control_characters(score.signature)}")
    if console.is_terminal:
        console.print(table)
