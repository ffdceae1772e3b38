"""Reads what is demanded of translations: a prefix for all, or files with prefixes and constraints a line."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from nmt.config import TranslateConfig, path_of
from nmt.data import MOST_IN_A_LINE, Tokenizer
from nmt.decoding import Demand, Demands
from nmt.errors import UserError


def read_demands(asked: TranslateConfig, tgt: Tokenizer) -> Iterator[Demand] | None:
    """What is demanded of each line of the input; None where nothing is.

    Raises:
        UserError: a file cannot be read, has another number of lines than the input, or holds what the vocabulary
            cannot write; at once, but that a pipe has more lines is known only when they come.
    """
    demands = Demands(tgt)
    if asked.prefixes is None and asked.constraints is None:
        return None if asked.prefix is None else itertools.repeat(demands.make(asked.prefix, where="prefix"))
    named = {"prefixes": asked.prefixes, "constraints": asked.constraints, "input": asked.input}
    files = {f"{key}={name}": path_of(name) for key, name in named.items() if name is not None}
    try:
        counts = {name: count_lines(path) for name, path in files.items()}
        if len(set(counts.values())) > 1:
            raise UserError(", ".join(f"{name} has {count} lines" for name, count in counts.items()) + "; give as many")
        for _ in itertools.islice(from_files(asked, demands), min(counts.values())):
            pass  # a mistake in the last line is told before the first is translated
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}; check prefixes, constraints and input") from None
    return from_files(asked, demands)


def from_files(asked: TranslateConfig, demands: Demands) -> Iterator[Demand]:
    """The demand of each line, as long as the files have lines.

    Raises:
        UserError: after the last one.
    """
    prefixes = itertools.repeat(asked.prefix or "") if asked.prefixes is None else lines_of("prefixes", asked.prefixes)
    constraints = itertools.repeat("") if asked.constraints is None else lines_of("constraints", asked.constraints)
    name = " and ".join(str(name) for name in (asked.prefixes, asked.constraints) if name is not None)
    number = 0
    for prefix, phrases in zip(prefixes, constraints, strict=False):
        number += 1
        yield demands.make(prefix, phrases.split("\t"), f"{name}, line {number}")
    raise UserError(f"{name}: there are {number} lines, and the input has more; give as many")


def lines_of(key: str, name: str) -> Iterator[str]:
    """Lines of a text file that a key names.

    Raises:
        UserError: it is not UTF-8, or a line is too long.
    """
    with path_of(name).open("rb") as file:
        for number, line in enumerate(cut_lines(file), start=1):
            if len(line.removesuffix(b"\n")) > MOST_IN_A_LINE:
                raise UserError(f"{key}={name}, line {number}: longer than {MOST_IN_A_LINE:,} bytes; shorten it")
            try:
                yield line.decode("utf-8").removesuffix("\n")
            except UnicodeDecodeError:
                raise UserError(f"{key}={name}, line {number}: not UTF-8; convert the file") from None


def cut_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file; of one that is too long the beginning, which has one byte too many."""
    while line := file.readline(MOST_IN_A_LINE + 1):
        yield line
        while len(line) > MOST_IN_A_LINE and not line.endswith(b"\n"):
            line = file.readline(MOST_IN_A_LINE + 1)


def count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in cut_lines(file))
