"""What a check found: a verdict, the number behind it, where to look, and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

EXAMPLES = 3  # lines named for each finding


class Verdict(StrEnum):
    ok = "ok"
    look = "look"
    bad = "bad"


@dataclass(frozen=True)
class Finding:
    """One row of the report."""

    check: str
    verdict: Verdict
    measured: str
    """The number and what it counts."""
    limits: str = ""
    """From where on the verdict is look, and bad."""
    lines: list[str] = field(default_factory=list)
    """Examples, as `train.src:12`: line numbers from 1, counted on over the files of the split."""
    remedy: str = ""
    """What to do about it; empty where all is well."""
    value: float | None = None


@dataclass
class Tally:
    """Counts lines, and remembers the first of them."""

    count: int = 0
    lines: list[int] = field(default_factory=list)

    def add(self, line: int) -> None:
        self.count += 1
        if len(self.lines) < EXAMPLES:
            self.lines.append(line)


@dataclass(frozen=True)
class Limits:
    """A number above `look` or above `bad` is worth that verdict; None: never."""

    look: float
    bad: float | None

    def verdict(self, value: float) -> Verdict:
        if self.bad is not None and value > self.bad:
            return Verdict.bad
        return Verdict.look if value > self.look else Verdict.ok

    def __str__(self) -> str:
        bad = "" if self.bad is None else f", bad above {percent(self.bad)}"
        return f"look above {percent(self.look)}{bad}"


@dataclass(frozen=True)
class Share:
    """How many of how many, somewhere in the corpus."""

    place: str
    """As `train.src`."""
    tally: Tally
    whole: int

    @property
    def value(self) -> float:
        return self.tally.count / self.whole if self.whole else 0.0


def worst_share(check: str, what: str, shares: Iterable[Share], limits: Limits, remedy: str) -> Finding:
    """Judges the place with the highest share.

    Args:
        check: name of the check.
        what: what is counted, behind "12 % of".
        shares: of each place.
        limits: of the share.
        remedy: for a share above them; {place} and {split} in it stand for where it is.
    """
    worst = max(shares, key=lambda share: share.value)
    verdict = limits.verdict(worst.value)
    return Finding(
        check,
        verdict,
        f"{worst.place}: {percent(worst.value)} of {what} ({worst.tally.count:,} of {worst.whole:,})",
        str(limits),
        [f"{worst.place}:{line}" for line in worst.tally.lines],
        "" if verdict == Verdict.ok else remedy.format(place=worst.place, split=worst.place.split(".")[0]),
        worst.value,
    )


def percent(share: float) -> str:
    """With two or three digits, and never 0 % or 100 % for what is less or more."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    if share < 0.0001:
        return "<0.01 %"
    digits = 2 if share < 0.01 else 1 if share < 0.1 or share > 0.99 else 0
    return f"{100 * share:.{digits}f} %"
