"""Answers of raters: the sheets and files that they return, and the table of all ratings of a campaign."""

import csv
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from nmt.data import named, read_all, write_lines
from nmt.errors import UserError
from nmt.lab.judgements.design import Design

RATINGS_FILE = "ratings.csv"
COLUMNS = ["rater", "item", "answer", "errors", "seconds"]
FIRST, EQUAL, SECOND = -1.0, 0.0, 1.0
BETTER = {
    **dict.fromkeys(("first", "1", "a", "1st"), FIRST),
    **dict.fromkeys(("equal", "0", "=", "both", "tie"), EQUAL),
    **dict.fromkeys(("second", "2", "b", "2nd"), SECOND),
}
"""Answers to a comparison, in lower case."""
_ERROR = re.compile(r"(minor|major)(?:@(\d{1,6}))?\s*:\s*(.+)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class ErrorSpan:
    """An error that a rater marked in a translation (ESA, Kocmi et al. 2024)."""

    severity: str
    """minor or major."""
    text: str
    """Marked words, or [missing] for content that the translation lacks."""
    start: int | None = None
    """Index of the first character in the translation; None: not recorded."""

    def __str__(self) -> str:
        return f"{self.severity}{'' if self.start is None else f'@{self.start}'}: {self.text}"


@dataclass(frozen=True)
class Rating:
    """Answer of a rater to one item."""

    rater: str
    item: str
    answer: float
    """0 to 100, or `FIRST`, `EQUAL` or `SECOND` for a comparison."""
    errors: list[ErrorSpan] = field(default_factory=list)
    seconds: float | None = None
    """Time that the rater took; None: not recorded."""


def read_sheet(path: Path, design: Design) -> list[Rating]:
    """Return the answers of a filled sheet or of a file that the form saved. Rows without an answer are left out.

    The rater is named in the column `rater`, or is the stem of the file. Spreadsheets may have written semicolons or
    tabs between the columns, and decimal commas.

    Raises:
        UserError: a column is missing, a row does not belong to the campaign, or an answer is not one.
    """
    rows = csv_rows(path)
    if not rows:
        raise UserError(f"{named(path)} is empty; give a filled sheet")
    names = [name.strip().lower() for name in rows[0][1]]
    wanted = "better" if design.kind == "pairwise" else "score"
    for name in ("item", wanted):
        if name not in names:
            raise UserError(
                f"{named(path)}, line 1: there is no column {name}; keep the headings of the sheet "
                f"(a {design.kind} campaign has item and {wanted})"
            )
    items, ratings = design.items, []
    for line, cells in rows[1:]:
        row = dict(zip(names, (cell.strip() for cell in cells), strict=False))
        where = f"{named(path)}, line {line}"
        if not any(row.values()):
            continue
        if row.get("item", "") not in items:
            raise UserError(f"{where}: item {row.get('item', '')!r:.40} is not in the campaign; keep the column item")
        if row.get(wanted, "") == "":
            continue
        answer = parse_answer(row[wanted], design.kind, where, wanted)
        errors = parse_errors(row.get("errors", ""), where) if design.kind == "esa" else []
        rater = row.get("rater") or path.stem
        ratings.append(Rating(rater, row["item"], answer, errors, parse_seconds(row.get("seconds", ""))))
    return ratings


def csv_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return the rows of a CSV file with the numbers of their lines. The first line tells the delimiter.

    Raises:
        UserError: the file cannot be read or is not CSV.
    """
    lines = read_all(path)
    delimiter = max(",;\t", key=lines[0].count) if lines else ","
    reader = csv.reader(StringIO("\n".join(lines)), delimiter=delimiter)
    rows: list[tuple[int, list[str]]] = []
    try:
        for row in reader:
            rows.append((reader.line_num, row))
    except csv.Error as error:
        raise UserError(f"{named(path)}, line {reader.line_num}: {error}; save the sheet as CSV again") from None
    return rows


def parse_answer(text: str, kind: str, where: str, column: str) -> float:
    """Return an answer as a number.

    Raises:
        UserError: the text is not an answer.
    """
    if kind == "pairwise":
        if text.lower() not in BETTER:
            raise UserError(f"{where}: {column} is {text!r:.40}; write first, second or equal")
        return BETTER[text.lower()]
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise UserError(f"{where}: {column} is {text!r:.40}; write a number from 0 to 100")
    return value


def parse_errors(text: str, where: str) -> list[ErrorSpan]:
    """Return the errors of a cell such as `minor: word | major@12: two words`.

    Raises:
        UserError: a part of the cell has another form.
    """
    spans = []
    for part in filter(None, (part.strip() for part in text.split("|"))):
        match = _ERROR.fullmatch(part)
        if match is None:
            raise UserError(f"{where}: errors has {part!r:.60}; write 'minor: WORDS' or 'major: WORDS', separated by |")
        start = int(match[2]) if match[2] else None
        spans.append(ErrorSpan(match[1].lower(), match[3].strip(), start))
    return spans


def parse_seconds(text: str) -> float | None:
    try:
        seconds = float(text.replace(",", "."))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def one_per_item(ratings: Iterable[Rating], where: str) -> list[Rating]:
    """Return the ratings after checking that no rater answers an item twice.

    Raises:
        UserError: a rater has two answers to an item.
    """
    seen: dict[tuple[str, str], Rating] = {}
    for rating in ratings:
        if (rating.rater, rating.item) in seen:
            raise UserError(
                f"{where}: rater {rating.rater} answers item {rating.item} twice; give each file once, and each rater "
                "a name of their own"
            )
        seen[rating.rater, rating.item] = rating
    return list(seen.values())


def write_ratings(ratings: Sequence[Rating], folder: Path) -> Path:
    """Write the table of all ratings of a campaign and return its path.

    Raises:
        UserError: the folder has ratings already.
    """
    path = folder / RATINGS_FILE
    if path.exists():
        raise UserError(f"{path} exists already; delete or rename it, then import all answers together")
    write_lines(path, csv_lines([COLUMNS, *map(cells_of, ratings)]))
    return path


def cells_of(rating: Rating) -> list[str]:
    seconds = "" if rating.seconds is None else f"{rating.seconds:g}"
    return [rating.rater, rating.item, f"{rating.answer:g}", " | ".join(map(str, rating.errors)), seconds]


def csv_lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield rows as lines of CSV; line feeds in a cell become spaces."""
    for row in rows:
        text = StringIO()
        csv.writer(text, lineterminator="").writerow(" ".join(cell.split("\n")) for cell in row)
        yield text.getvalue()


def read_ratings(folder: Path, design: Design) -> list[Rating]:
    """Return the imported ratings of a campaign.

    Raises:
        UserError: nothing was imported, or the file is damaged.
    """
    path = folder / RATINGS_FILE
    if not path.is_file():
        raise UserError(f"{folder} has no {RATINGS_FILE}; import answers with: nmt-human-eval import folder={folder}")
    low, high = (FIRST, SECOND) if design.kind == "pairwise" else (0.0, 100.0)
    ratings, items = [], design.items
    for line, row in csv_rows(path)[1:]:
        where = f"{path}, line {line}"
        try:
            rater, item, answer, errors, seconds = row
            value = float(answer)
            if item not in items or not low <= value <= high:
                raise ValueError
        except ValueError:
            raise UserError(f"{where} is damaged; delete the file and import the answers again") from None
        ratings.append(Rating(rater, item, value, parse_errors(errors, where), parse_seconds(seconds)))
    return one_per_item(ratings, str(path))
