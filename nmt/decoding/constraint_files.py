"""Reads what is demanded of translations: a prefix for all, or texts with prefixes and constraints for each line."""

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.config import TranslateConfig, path_of
from nmt.data import Tokenizer, named, read_all
from nmt.decoding import ConstraintBuilder, TargetConstraints
from nmt.errors import UserError

MOST_IN_MEMORY = 1 << 30
"""Bytes of prefixes, of constraints, and of the input that goes with them, each of which is kept in memory."""


@dataclass
class LineConstraints:
    """ConstraintBuilder for the lines of an input."""

    demands: ConstraintBuilder
    prefixes: Sequence[str] | None
    constraints: Sequence[str] | None
    prefix: str
    """The prefix of all lines, where there are no `prefixes`."""
    name: str
    """What messages call the texts with the demands."""
    most_bytes: int = MOST_IN_MEMORY

    @property
    def count(self) -> int | None:
        """Number of lines that there are demands for; None if all lines have the same."""
        counts = [len(lines) for lines in (self.prefixes, self.constraints) if lines is not None]
        return min(counts) if counts else None

    def make(self, number: int) -> TargetConstraints:
        """Return the demand of the line with this number, from 0.

        Raises:
            UserError: the vocabulary cannot write it.
        """
        prefix = self.prefix if self.prefixes is None else self.prefixes[number]
        phrases = [] if self.constraints is None else self.constraints[number].split("\t")
        where = "prefix" if self.count is None else f"{self.name}, line {number + 1}"
        return self.demands.make(prefix, phrases, where)

    def take(self, before: int, lines: int, name: str) -> list[TargetConstraints]:
        """Return the demands of the next lines.

        Raises:
            UserError: there are not as many.
        """
        if self.count is None:
            return [self.make(0)] * lines
        if before + lines > self.count:
            raise UserError(f"{self.name} has {self.count} lines, and {name} has more; give as many")
        return [self.make(number) for number in range(before, before + lines)]

    def check_count(self, lines: int, name: str) -> None:
        """
        Raises:
            UserError: an input of this number of lines has more or fewer than there are demands.
        """
        if lines != self.count:
            raise UserError(f"{self.name} has {self.count} lines, {name} has {lines} lines; give as many")


def read_constraints(asked: TranslateConfig, tgt: Tokenizer) -> LineConstraints | None:
    """Return what is demanded of each line of the input; None if nothing is.

    Raises:
        UserError: a text cannot be read, the texts have different numbers of lines, or hold what the vocabulary
            cannot write. A mistake in the last line is told before the first is translated.
    """
    texts = {"prefixes": asked.prefixes, "constraints": asked.constraints}
    lines = {key: read_all(path_of(given), MOST_IN_MEMORY) for key, given in texts.items() if given is not None}
    if not lines and asked.prefix is None:
        return None
    names = {key: f"{key}={named(given)}" for key, given in texts.items() if given is not None}
    if len({len(each) for each in lines.values()}) > 1:
        counts = [f"{names[key]} has {len(each)} lines" for key, each in lines.items()]
        raise UserError(f"{', '.join(counts)}; give as many")
    name = " and ".join(names.values())
    found = LineConstraints(
        ConstraintBuilder(tgt), lines.get("prefixes"), lines.get("constraints"), asked.prefix or "", name
    )
    for number in range(1 if found.count is None else found.count):
        found.make(number)
    return found
