"""nmt-translate: interactive on a terminal, a filter in a pipe, or from file to file; one line out for each line in."""

import io
import itertools
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.demands import count_lines, cut_lines, read_demands
from nmt.cli.machine import settle
from nmt.cli.prompt import Prompt
from nmt.cli.streams import OUTPUT
from nmt.config import TranslateConfig, path_of, with_search
from nmt.console import progress_bar
from nmt.data import MOST_IN_A_LINE
from nmt.decoding import Demand, Translator, align
from nmt.errors import UserError
from nmt.evaluation import load_translator
from nmt.run import RunDirectory

BLOCK = 1024
"""Lines read, sorted by length and translated together: memory does not grow with the file ..."""
BLOCK_BYTES = 1 << 20
"""... nor with the lines: a block ends after so many bytes."""

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    run = RunDirectory.open(app.required(cfg, "run"))
    asked, search = with_search(TranslateConfig, cfg, run.config().search)
    for key, path in (("output", asked.output), ("alignments", asked.alignments)):
        if path is not None:
            app.new_path(path, key)
    interactive = asked.input is None and sys.stdin.isatty()
    if asked.alignments is not None and interactive:
        raise UserError("alignments is given and there is no text; give input=FILE or a pipe, or ask for :attention")
    if interactive and (asked.prefixes or asked.constraints):
        raise UserError(
            "prefixes and constraints go line by line with an input; give input=FILE, or use :prefix, :hold"
        )
    machine = settle(asked.machine)
    others = [RunDirectory.open(path) for path in asked.ensemble]
    translator, _ = load_translator(run, asked.checkpoint, search, machine.device, others)
    machine.lower_precision(translator)
    if asked.alignments is not None and translator.attention("", "") is None:
        raise UserError(f"alignments={asked.alignments}: {run.path} has no attention; leave alignments out")
    demands = read_demands(asked, translator.tgt)
    if interactive:
        Prompt(translator, asked.prefix or "").loop()
    elif asked.input is not None:
        translate_file(translator, path_of(asked.input), asked.output, asked.alignments, demands)
    else:
        # One block at a time as it comes, so that a program at the other end of the pipe can wait for each line.
        lines = decoded(read_available(sys.stdin.buffer), "standard input")
        with written(asked.alignments) as alignments:
            filter_lines(translator, lines, sys.stdout, None, alignments, demands)


def translate_file(
    translator: Translator,
    source: Path,
    output: str | None,
    alignments: str | None = None,
    demands: Iterator[Demand] | None = None,
) -> None:
    """Translates a file, and aligns if asked to; what is written gets its name when it is complete."""
    try:
        total = count_lines(source)
        with source.open("rb") as file, written(alignments) as links, written(output) as result:
            filter_lines(translator, decoded(blocks(file), str(source)), result or sys.stdout, total, links, demands)
    except OSError as error:
        if error.filename in (None, OUTPUT):
            raise
        raise UserError(f"{error.filename}: {error.strerror}; check input and output") from None


@contextmanager
def written(path: str | None) -> Iterator[TextIO | None]:
    """A file that is `PATH.part` until all is written; none where there is no path."""
    if path is None:
        yield None
        return
    target = path_of(path)
    partial = target.with_name(f"{target.name}.part")
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        yield file
    os.replace(partial, target)


def filter_lines(
    translator: Translator,
    batches: Iterable[list[str]],
    output: TextIO,
    total: int | None,
    alignments: TextIO | None = None,
    demands: Iterator[Demand] | None = None,
) -> None:
    """Writes the best translation of each line, in order, or all n best with their scores, tab-separated."""
    with progress_bar() as bar:
        task = bar.add_task("translating", total=total)
        before = 0
        for lines in batches:
            asked = None if demands is None else list(itertools.islice(demands, len(lines)))
            found = translator.translate(lines, demands=asked)
            for number, candidates in enumerate(found, start=before):
                if translator.config.n_best == 1:
                    output.write(candidates[0].text + "\n")
                else:
                    for candidate in candidates:
                        output.write(f"{number}\t{candidate.score:.4f}\t{candidate.text}\n")
            output.flush()
            before += len(lines)
            if alignments is not None:
                alignments.writelines(f"{links}\n" for of_line in align(translator, lines, found) for links in of_line)
            bar.advance(task, len(lines))


def blocks(file: BinaryIO) -> Iterator[list[bytes]]:
    """Lines of a file, a block at a time; of a line that is too long the beginning, which has one byte too many."""
    lines = cut_lines(file)
    for first in lines:
        block, size = [first], len(first)
        while len(block) < BLOCK and size < BLOCK_BYTES and (line := next(lines, None)) is not None:
            block.append(line)
            size += len(line)
        yield block


def read_available(stream: BinaryIO) -> Iterator[list[bytes]]:
    """Whole lines of a pipe as they come: as many as are there, and never waiting for more than the next one."""
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
    rest = b""
    while data := buffered.read1(1 << 20):
        *lines, rest = (rest + data).split(b"\n")
        rest = rest[: MOST_IN_A_LINE + 1]
        for start in range(0, len(lines), BLOCK):
            yield [line + b"\n" for line in lines[start : start + BLOCK]]
    if rest:
        yield [rest]


def decoded(batches: Iterable[list[bytes]], name: str) -> Iterator[list[str]]:
    """Text of the lines; bytes that are not UTF-8 are replaced, and what is too long is cut off, with a warning that
    names the line."""
    number = 0
    for batch in batches:
        lines = []
        for raw in batch:
            number += 1
            if len(raw.removesuffix(b"\n")) > MOST_IN_A_LINE:
                log.warning("%s, line %d: longer than %d bytes; the rest is left out", name, number, MOST_IN_A_LINE)
                raw = raw[:MOST_IN_A_LINE]
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError:
                log.warning("%s, line %d: not UTF-8; its bytes are replaced", name, number)
                line = raw.decode("utf-8", errors="replace")
            lines.append(line.removesuffix("\n"))
        yield lines


def main() -> None:
    app.run("translate", command)


if __name__ == "__main__":
    main()
