"""nmt-translate: interactive on a terminal, a filter in a pipe, or from file to file; one line out for each line in."""

import io
import itertools
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.machine import settle
from nmt.cli.prompt import Prompt
from nmt.config import TranslateConfig, with_search
from nmt.console import progress_bar
from nmt.decoding import Translator
from nmt.errors import UserError
from nmt.evaluation import load_translator
from nmt.run import RunDirectory

BLOCK = 1024
"""Lines read, sorted by length and translated together: memory does not grow with the file."""

log = logging.getLogger(__name__)


def command(cfg: DictConfig) -> None:
    run = RunDirectory.open(app.required(cfg, "run"))
    asked, search = with_search(TranslateConfig, cfg, run.config().search)
    if asked.output is not None and Path(asked.output).exists():
        raise UserError(f"output={asked.output} exists already; choose another name or delete it")
    machine = settle(asked.machine)
    others = [RunDirectory.open(path) for path in asked.ensemble]
    translator, _ = load_translator(run, asked.checkpoint, search, machine.device, others)
    machine.lower_precision(translator)
    if asked.input is not None:
        translate_file(translator, Path(asked.input).expanduser(), asked.output)
    elif sys.stdin.isatty():
        Prompt(translator).loop()
    else:
        # One block at a time as it comes, so that a program at the other end of the pipe can wait for each line.
        filter_lines(translator, decoded(read_available(sys.stdin.buffer), "standard input"), sys.stdout, total=None)


def translate_file(translator: Translator, source: Path, output: str | None) -> None:
    """Translates a file; the output gets its name when it is complete."""
    try:
        total = count_lines(source)
        with source.open("rb") as file:
            lines = decoded(blocks(file), str(source))
            if output is None:
                filter_lines(translator, lines, sys.stdout, total)
                return
            target = Path(output).expanduser()
            partial = target.with_name(f"{target.name}.part")
            with partial.open("w", encoding="utf-8", newline="\n") as result:
                filter_lines(translator, lines, result, total)
            os.replace(partial, target)
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}; check input and output") from None


def filter_lines(translator: Translator, batches: Iterable[list[str]], output: TextIO, total: int | None) -> None:
    """Writes the best translation of each line, in order, or all n best with their scores, tab-separated."""
    with progress_bar() as bar:
        task = bar.add_task("translating", total=total)
        for lines in batches:
            for number, candidates in enumerate(translator.translate(lines)):
                if translator.config.n_best == 1:
                    output.write(candidates[0].text + "\n")
                else:
                    for candidate in candidates:
                        output.write(f"{number}\t{candidate.score:.4f}\t{candidate.text}\n")
            output.flush()
            bar.advance(task, len(lines))


def blocks(file: BinaryIO) -> Iterator[list[bytes]]:
    """Lines of a file, a block at a time."""
    while block := list(itertools.islice(file, BLOCK)):
        yield block


def read_available(stream: BinaryIO) -> Iterator[list[bytes]]:
    """Whole lines of a pipe as they come: as many as are there, and never waiting for more than the next one."""
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
    rest = b""
    while data := buffered.read1(1 << 20):
        *lines, rest = (rest + data).split(b"\n")
        for start in range(0, len(lines), BLOCK):
            yield [line + b"\n" for line in lines[start : start + BLOCK]]
    if rest:
        yield [rest]


def decoded(batches: Iterable[list[bytes]], name: str) -> Iterator[list[str]]:
    """Text of the lines; bytes that are not UTF-8 are replaced, with a warning that names the line."""
    number = 0
    for batch in batches:
        lines = []
        for raw in batch:
            number += 1
            try:
                line = raw.decode("utf-8")
            except UnicodeDecodeError:
                log.warning("%s, line %d: not UTF-8; its bytes are replaced", name, number)
                line = raw.decode("utf-8", errors="replace")
            lines.append(line.removesuffix("\n"))
        yield lines


def count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def main() -> None:
    app.run("translate", command)


if __name__ == "__main__":
    main()
