"""Constraints of the translate command: a prefix for all lines, or files with prefixes and phrases for each line."""

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.config import TranslateConfig, user_path
from nmt.data import Tokenizer, named, read_all
from nmt.decoding.target_constraints import ConstraintBuilder, TargetConstraints
from nmt.errors import UserError

MAX_TEXT_BYTES = 1 << 30
"""Maximum size in bytes of the prefixes, of the phrases, and of the input, each of which is read into memory."""


@dataclass
class LineConstraints:
    """Constraints for the lines of an input."""

    builder: ConstraintBuilder
    """Builder in the target vocabulary."""
    prefixes: Sequence[str] | None
    """Prefix of each line, or None."""
    phrases: Sequence[str] | None
    """Phrases of each line, separated by tabs, or None."""
    prefix: str
    """Prefix of all lines if there are no `prefixes`."""
    name: str
    """Name of the files in messages."""
    most_bytes: int = MAX_TEXT_BYTES
    """Maximum size of the input in bytes."""

    @property
    def count(self) -> int | None:
        """Number of lines with constraints; None if all lines have the same."""
        counts = [len(lines) for lines in (self.prefixes, self.phrases) if lines is not None]
        return min(counts) if counts else None

    def make(self, number: int) -> TargetConstraints:
        """Return the constraints of the line with this number, from 0.

        Raises:
            UserError: the vocabulary cannot write them.
        """
        prefix = self.prefix if self.prefixes is None else self.prefixes[number]
        phrases = [] if self.phrases is None else self.phrases[number].split("\t")
        where = "prefix" if self.count is None else f"{self.name}, line {number + 1}"
        return self.builder.make(prefix, phrases, where)

    def take(self, before: int, lines: int, name: str) -> list[TargetConstraints]:
        """Return the constraints of the next lines.

        Args:
            before: number of lines taken before.
            lines: number of lines.
            name: name of the input in messages.

        Raises:
            UserError: the input has more lines than the files.
        """
        if self.count is None:
            return [self.make(0)] * lines
        if before + lines > self.count:
            raise UserError(f"{self.name} has {self.count} lines, and {name} has more; give one per line of the input")
        return [self.make(number) for number in range(before, before + lines)]

    def check_count(self, lines: int, name: str) -> None:
        """Check that the input has as many lines as the files.

        Raises:
            UserError: it has more or fewer.
        """
        if lines != self.count:
            raise UserError(
                f"{self.name} has {self.count} lines, {name} has {lines} lines; give one per line of the input"
            )


def read_constraints(config: TranslateConfig, tgt: Tokenizer) -> LineConstraints | None:
    """Return the constraints of the input's lines, or None without constraints.

    All lines are built once, so that an error in the last line is reported before the first is translated.

    Raises:
        UserError: a file cannot be read, the files have different numbers of lines, or the vocabulary cannot write
            some of their text.
    """
    files = {"prefixes": config.prefixes, "constraints": config.constraints}
    lines = {key: read_all(user_path(file), MAX_TEXT_BYTES) for key, file in files.items() if file is not None}
    if not lines and config.prefix is None:
        return None
    names = {key: f"{key}={named(file)}" for key, file in files.items() if file is not None}
    if len({len(of_file) for of_file in lines.values()}) > 1:
        counts = [f"{names[key]} has {len(of_file)} lines" for key, of_file in lines.items()]
        raise UserError(f"{', '.join(counts)}; give both the same number of lines")
    constraints = LineConstraints(
        ConstraintBuilder(tgt),
        lines.get("prefixes"),
        lines.get("constraints"),
        config.prefix or "",
        " and ".join(names.values()),
    )
    for number in range(1 if constraints.count is None else constraints.count):
        constraints.make(number)
    return constraints
