"""nmt-translate: interactive on a terminal, a filter in a pipe, or from file to file; one line out for each line in."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from omegaconf import DictConfig

from nmt.cli import app
from nmt.cli.app.prompt import Prompt
from nmt.config import TranslateConfig, path_of, with_search
from nmt.console import progress_bar
from nmt.data import STANDARD, is_regular, named, new_text_file, read_all, read_available, written
from nmt.decoding import Translator, align, load_translator
from nmt.decoding.constraint_files import LineConstraints, read_constraints
from nmt.errors import UserError
from nmt.run import RunDirectory
from nmt.runtime import setup_runtime

BLOCK = 1024
"""Lines read, sorted by length and translated together: memory does not grow with the file ..."""
BLOCK_CHARACTERS = 1 << 20
"""... nor with the lines: a block ends after this number of characters."""


def command(cfg: DictConfig) -> None:
    run = RunDirectory.open(app.required(cfg, "run"))
    asked, search = with_search(TranslateConfig, cfg, run.config().search)
    for key, path in (("output", asked.output), ("alignments", asked.alignments)):
        if path is not None:
            new_text_file(path, key)
    interactive = asked.input is None and sys.stdin is not None and sys.stdin.isatty()
    if asked.alignments is not None and interactive:
        raise UserError("alignments is given and there is no text; give input=FILE or a pipe, or ask for :attention")
    if interactive and (asked.prefixes or asked.constraints):
        raise UserError(
            "prefixes and constraints go line by line with an input; give input=FILE, or use :prefix, :hold"
        )
    machine = setup_runtime(asked.machine)
    others = [RunDirectory.open(path) for path in asked.ensemble]
    translator, _ = load_translator(run, asked.checkpoint, search, machine.device, others)
    machine.lower_precision(translator)
    if asked.alignments is not None and translator.attention("", "") is None:
        raise UserError(f"alignments={asked.alignments}: {run.path} has no attention; leave alignments out")
    if interactive:
        Prompt(translator, asked.prefix or "").loop()
        return
    demands = read_constraints(asked, translator.tgt)
    translate_file(translator, path_of(asked.input or STANDARD), asked.output, asked.alignments, demands)


def translate_file(
    translator: Translator,
    source: Path,
    output: str | None,
    alignments: str | None = None,
    demands: LineConstraints | None = None,
) -> None:
    """Translate a text, and align if `alignments` is given; a file that is written gets its name when it is complete.

    A file is read in blocks. A pipe is read as its lines come, so that a program at its other end can wait for each
    translation. With demands for each line, a file or pipe is read as a whole first, to compare the number of lines.
    """
    batches: Iterable[list[str]]
    if demands is not None and demands.count is not None and str(source) != STANDARD:
        lines = read_all(source, demands.most_bytes)
        demands.check_count(len(lines), f"input={source}")
        batches = blocks([lines])
    elif is_regular(source):
        batches = blocks(read_available(source))
    else:
        batches = (block for some in read_available(source) for block in blocks([some]))
    size = source.stat().st_size if is_regular(source) else None
    with ExitStack() as files:
        links = None if alignments is None else files.enter_context(written(alignments))
        result = files.enter_context(written(output or STANDARD))
        filter_lines(translator, batches, result, size, links, demands, named(source))


def filter_lines(
    translator: Translator,
    batches: Iterable[list[str]],
    output: TextIO,
    size: int | None,
    alignments: TextIO | None = None,
    demands: LineConstraints | None = None,
    name: str = "the input",
) -> None:
    """Write the best translation of each line, in order, or all n best with their scores, tab-separated.

    Args:
        translator: the model and its search.
        batches: the lines.
        output: where translations go.
        size: bytes of the text for the progress bar, if they are known.
        alignments: where alignments go.
        demands: what the translations must be like.
        name: what messages call the text.
    """
    before = 0
    with progress_bar() as bar:
        task = bar.add_task("translating, in bytes", total=size)
        for lines in batches:
            asked = None if demands is None else demands.take(before, len(lines), name)
            places = [f"{name}, line {before + number}" for number in range(1, len(lines) + 1)]
            found = translator.translate(lines, constraints=asked, places=places)
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
            bar.advance(task, sum(len(line.encode(errors="replace")) + 1 for line in lines))
    if demands is not None and demands.count is not None:
        demands.check_count(before, name)


def blocks(batches: Iterable[list[str]]) -> Iterator[list[str]]:
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


def main() -> None:
    app.run("translate", command)


if __name__ == "__main__":
    main()
