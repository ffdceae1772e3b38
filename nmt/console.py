"""What a person sees: progress bars, on standard error and silent where that is no terminal; harmless text."""

import re

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

# Control characters, ESC with which a terminal's commands begin among them, and those that turn the direction of what
# follows. U+200E and U+200F stay: text of two directions needs them, and they turn nothing.
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def escape_control_characters(text: str) -> str:
    """Text in which a terminal finds no command: what would be one is spelt out, as in `\\x1b[2J`.

    Line feeds and tabs stay.
    """
    return _COMMANDS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class SpeedColumn(ProgressColumn):
    """Items a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "")


def progress_bar(*columns: ProgressColumn) -> Progress:
    """A bar with the count, the speed, the time left, and `columns` behind them."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        SpeedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        *columns,
        console=console,
        disable=not console.is_terminal,
    )
