"""Translation of a file or pipe: one line out for each line in."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from nmt.cli.app.output_columns import ColumnWriter
from nmt.cli.app.terms_and_tags import TermsAndTags
from nmt.console import progress_bar
from nmt.data import STANDARD, is_regular, named, read_all, read_available, written
from nmt.decoding import Candidate, Translator, align
from nmt.decoding.constraint_files import LineConstraints

BLOCK = 1024
"""Largest number of lines that are sorted by length and translated together. It bounds the memory for long files ..."""
BLOCK_CHARACTERS = 1 << 20
"""... and for long lines: a block ends after this number of characters."""


def translate_file(
    translator: Translator,
    source: Path,
    output: str | None,
    alignments: str | None = None,
    constraints: LineConstraints | None = None,
    handling: TermsAndTags | None = None,
    columns: ColumnWriter | None = None,
) -> None:
    """Translate a text, and write word alignments if `alignments` is given.

    An output file gets its name when it is complete. A file is read in blocks. A pipe is read as its lines arrive, so
    that a program at its other end gets each translation immediately. With constraints per line, the text is read as a
    whole first, to compare the numbers of lines.
    """
    batches: Iterable[list[str]]
    if constraints is not None and constraints.count is not None and str(source) != STANDARD:
        lines = read_all(source, constraints.most_bytes)
        constraints.check_count(len(lines), f"input={source}")
        batches = split_blocks([lines])
    elif is_regular(source):
        batches = split_blocks(read_available(source))
    else:
        batches = (block for lines in read_available(source) for block in split_blocks([lines]))
    size = source.stat().st_size if is_regular(source) else None
    with ExitStack() as files:
        links = None if alignments is None else files.enter_context(written(alignments))
        result = files.enter_context(written(output or STANDARD))
        translate_batches(translator, batches, result, size, links, constraints, named(source), handling, columns)


def translate_batches(
    translator: Translator,
    batches: Iterable[list[str]],
    output: TextIO,
    size: int | None,
    alignments: TextIO | None = None,
    constraints: LineConstraints | None = None,
    name: str = "the input",
    handling: TermsAndTags | None = None,
    columns: ColumnWriter | None = None,
) -> None:
    """Write the best translation of each line in order, or the n best with their scores, separated by tabs.

    `size` is the number of bytes of the text, for the progress bar; None: not known. `name` is the name of the text in
    messages. `handling` translates lines with terms and protected text. `columns` writes all columns of a translation.
    """
    done = 0
    if columns is not None:
        output.writelines(f"{row}\n" for row in columns.header())
    with progress_bar() as bar:
        task = bar.add_task("translating, in bytes", total=size)
        for lines in batches:
            line_constraints = None if constraints is None else constraints.take(done, len(lines), name)
            places = [f"{name}, line {done + number}" for number in range(1, len(lines) + 1)]
            translate = translator.translate if handling is None else handling.translate_lines
            translations = translate(lines, constraints=line_constraints, places=places)
            rows = text_rows(done, translations, translator.config.n_best)
            if columns is not None:
                rows = columns.rows(done, lines, translations)
            output.writelines(f"{row}\n" for row in rows)
            output.flush()
            done += len(lines)
            if alignments is not None:
                for links_of_line in align(translator, lines, translations):
                    alignments.writelines(f"{links}\n" for links in links_of_line)
            bar.advance(task, sum(len(line.encode(errors="replace")) + 1 for line in lines))
    if constraints is not None and constraints.count is not None:
        constraints.check_count(done, name)


def text_rows(first: int, translations: Sequence[Sequence[Candidate]], n_best: int) -> Iterator[str]:
    """Yield the best translation of each line; or number of the line, counted from `first`, score and text of each."""
    for number, candidates in enumerate(translations, start=first):
        if n_best == 1:
            yield candidates[0].text
        else:
            yield from (f"{number}\t{candidate.score:.4f}\t{candidate.text}" for candidate in candidates)


def split_blocks(batches: Iterable[list[str]]) -> Iterator[list[str]]:
    """Yield the lines in blocks that are translated together."""
    block: list[str] = []
    size = 0
    for lines in batches:
        for line in lines:
            block.append(line)
            size += len(line) + 1
            if len(block) == BLOCK or size >= BLOCK_CHARACTERS:
                yield block
                block, size = [], 0
    if block:
        yield block
