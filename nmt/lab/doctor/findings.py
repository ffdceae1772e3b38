"""Results of checks: verdict, measured value, example lines and remedy."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

EXAMPLES = 3  # lines named per finding


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
    """Measured value and its unit."""
    limits: str = ""
    """Limits above which the verdict is look and bad."""
    lines: list[str] = field(default_factory=list)
    """Examples such as `train.src:12`. Line numbers start at 1 and continue over the files of the split."""
    remedy: str = ""
    """Recommended action; empty if the verdict is ok."""
    value: float | None = None


@dataclass
class Tally:
    """Number of lines, and the first few of them."""

    count: int = 0
    lines: list[int] = field(default_factory=list)

    def add(self, line: int) -> None:
        self.count += 1
        if len(self.lines) < EXAMPLES:
            self.lines.append(line)


@dataclass(frozen=True)
class Limits:
    """Values above which the verdict is look or bad; None: the verdict is never bad."""

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
    """Share of the lines or pairs of one place in the corpus."""

    place: str
    """Split and side, such as `train.src`, or the split."""
    tally: Tally
    whole: int

    @property
    def value(self) -> float:
        return self.tally.count / self.whole if self.whole else 0.0


def worst_share(check: str, counted: str, shares: Iterable[Share], limits: Limits, remedy: str) -> Finding:
    """Return the finding for the place with the highest share.

    Args:
        check: name of the check.
        counted: text that follows "12 % of".
        shares: one per place.
        limits: limits of the share.
        remedy: recommended action above the limits; {place} and {split} in it are replaced.
    """
    worst = max(shares, key=lambda share: share.value)
    verdict = limits.verdict(worst.value)
    return Finding(
        check,
        verdict,
        f"{worst.place}: {percent(worst.value)} of {counted} ({worst.tally.count:,} of {worst.whole:,})",
        str(limits),
        [f"{worst.place}:{line}" for line in worst.tally.lines],
        "" if verdict == Verdict.ok else remedy.format(place=worst.place, split=worst.place.split(".")[0]),
        worst.value,
    )


def percent(share: float) -> str:
    """Format a share as a percentage of two or three digits; only an exact 0 or 1 is shown as 0 % or 100 %."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    if share < 0.0001:
        return "<0.01 %"
    digits = 2 if share < 0.01 else 1 if share < 0.1 or share > 0.99 else 0
    return f"{100 * share:.{digits}f} %"
