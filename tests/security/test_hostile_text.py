"""Malicious text: archive bombs, endless lines, terminal commands."""

import gzip
import io
import logging
import random
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from nmt.cli import app
from nmt.cli.app import prompt
from nmt.cli.app.file_translation import split_blocks
from nmt.config import TextFiles
from nmt.console import escape_control_characters
from nmt.data import MAX_LINE_BYTES, read_all, read_lines
from nmt.data.preprocessing import fetch
from nmt.data.preprocessing.parallel_text import read_pairs
from nmt.decoding import AttentionMap, Translator
from nmt.errors import UserError
from nmt.evaluation import show_scores
from nmt.lab.comparison.report import TitledTable, show_tables
from nmt.metrics import Score

MEGABYTE = 1 << 20
ESCAPES = "\x1b[2J\x1b]0;title\x07 \x9b31m \x7f \u202e"


def bomb(path: Path, block: bytes, times: int) -> Path:
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(times):
            file.write(block)
    return path


def test_a_line_without_end_is_refused_and_takes_no_memory(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.gz", b"x" * MEGABYTE, 64)
    assert path.stat().st_size < MEGABYTE
    tracemalloc.start()
    with pytest.raises(UserError, match=r"bomb\.gz: line 1 is longer than"):
        list(read_lines(path))
    assert tracemalloc.get_traced_memory()[1] < 8 * MEGABYTE
    tracemalloc.stop()


def test_a_device_without_end_is_refused() -> None:
    with pytest.raises(UserError, match="line 1 is longer"):
        list(read_lines(Path("/dev/zero")))


@pytest.mark.parametrize("length", [MAX_LINE_BYTES - 1, MAX_LINE_BYTES])
def test_the_longest_line_is_where_it_is_said_to_be(tmp_path: Path, length: int) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"x" * (length - 1) + b"\nnext\n")
    assert [len(line) for line in read_lines(path)] == [length - 1, 4]
    path.write_bytes(b"a\n" + b"x" * (MAX_LINE_BYTES + 1))
    with pytest.raises(UserError, match="line 2 is longer"):
        list(read_lines(path))


@pytest.mark.parametrize("line", [b"\n", b"x" * 4095 + b"\n"])
def test_what_is_kept_in_memory_is_bounded(tmp_path: Path, line: bytes) -> None:
    """Empty lines count, because they take memory, too."""
    path = bomb(tmp_path / "lines.gz", line * (MEGABYTE // len(line)), 65 * len(line) // max(64, len(line)) + 1)
    with pytest.raises(UserError, match=r"lines\.gz: has more than 67,108,864 bytes"):
        read_all(path)


def test_a_bomb_of_lines_is_refused_where_lines_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.data.text_files.UNCHECKED_BYTES", MEGABYTE)
    path = bomb(tmp_path / "lines.gz", (b"x" * 1023 + b"\n") * 1024, 4)
    with pytest.raises(UserError, match=r"lines\.gz: unpacks to more than 100 times"):
        list(read_lines(path))
    honest = "".join(f"{random.Random(at).getrandbits(400)}\n" for at in range(2 * MEGABYTE // 120))
    (tmp_path / "text.gz").write_bytes(gzip.compress(honest.encode()))
    assert "".join(f"{line}\n" for line in read_lines(tmp_path / "text.gz")) == honest
    (tmp_path / "plain").write_bytes((b"x" * 1023 + b"\n") * 4096)
    assert len(list(read_lines(tmp_path / "plain"))) == 4096


def test_pairs_are_bounded_where_they_are_kept(tmp_path: Path) -> None:
    (tmp_path / "pairs").write_text("a\tb\na\tb\n")
    assert len(list(read_pairs(TextFiles(tsv=["pairs"]), tmp_path, most=128))) == 2
    with pytest.raises(UserError, match="more than 127 bytes"):
        list(read_pairs(TextFiles(tsv=["pairs"]), tmp_path, most=127))
    with pytest.raises(UserError, match="the split has more than 128 characters"):
        list(read_pairs(TextFiles(tsv=["pairs", "pairs"]), tmp_path, most=128))


def test_a_block_is_bounded() -> None:
    line = "z" * (MEGABYTE // 4 - 1)
    assert [len(block) for block in split_blocks([[line] * 7, [line] * 3])] == [4, 4, 2]
    assert [len(block) for block in split_blocks([["z"] * 1500, ["z"] * 600])] == [1024, 1024, 52]


def silent(text: str) -> bool:
    """Return whether a text contains no terminal command."""
    return not any((sign < " " and sign not in "\n\t") or "\x7f" <= sign <= "\x9f" or sign == "\u202e" for sign in text)


def test_harmless_spells_commands_out_and_leaves_text_alone() -> None:
    assert not silent(ESCAPES)
    assert silent(escape_control_characters(ESCAPES))
    assert "\\x1b[2J" in escape_control_characters(ESCAPES)
    assert "\\u202e" in escape_control_characters(ESCAPES)
    for text in ("Grüße, 家は赤い", "می\u200cخواهم", "👩\u200d👧", "a\tb\n", "[red]x[/]", "\\x1b"):
        assert escape_control_characters(text) == text


def test_errors_and_the_log_command_no_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        app.fail(f"file {ESCAPES}", 2)
    assert silent(capsys.readouterr().err)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        app.log_to_stderr()
        with app.logging_to(tmp_path / "train.log"):
            logging.getLogger("nmt").warning("corpus %s", ESCAPES)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert silent(capsys.readouterr().err)
    assert silent((tmp_path / "train.log").read_text())
    assert "title" in (tmp_path / "train.log").read_text()


def test_tables_command_no_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    markup = "[link=http://x]y[/link]"
    hostile = ESCAPES + markup
    show_tables([TitledTable(hostile, [hostile, hostile], [[hostile, hostile]], [hostile])])
    show_scores({"comet": Score(1.0, f"model:{hostile}", None)})
    printed = capsys.readouterr().out
    assert silent(printed)
    assert printed.count("[link=http://x]") == 7
    monkeypatch.setattr("nmt.evaluation.table.Console", lambda: Console(force_terminal=True, no_color=True, width=200))
    show_scores({"comet": Score(1.0, f"model:{hostile}", None)})
    assert "\x1b]" not in (printed := capsys.readouterr().out)
    assert markup in printed
    table = prompt.attention_table(AttentionMap([hostile], [hostile], [[1.0]]))
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(table)
    assert silent(text := console.export_text())
    assert text.count(markup) == 2


def test_the_name_of_a_download_is_not_read_as_markup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = io.StringIO()
    bar = fetch._progress_bar()
    bar.live.console = Console(file=shown, force_terminal=True, width=200)
    bar.disable = False
    monkeypatch.setattr(fetch, "_progress_bar", lambda: bar)
    response = SimpleNamespace(headers={"Content-Length": "9" * 5000}, read=io.BytesIO(b"abc").read)
    fetch._receive(response, tmp_path / "[link=http:x]y[bold].part", 0)  # type: ignore[arg-type]
    assert "\x1b]8" not in shown.getvalue()


@pytest.mark.parametrize(("length", "declared"), [(4096, "4096"), (4096, ""), (0, str(1 << 62))])
def test_a_download_has_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int, declared: str) -> None:
    """The size is limited by the announced length, by the received bytes and by the free disk space."""
    if length:
        monkeypatch.setattr(fetch, "_MAX_BYTES", 1000)
    else:
        monkeypatch.setattr(fetch, "_MAX_BYTES", 1 << 63)
    response = SimpleNamespace(headers={"Content-Length": declared}, read=io.BytesIO(bytes(length)).read)
    with pytest.raises(UserError, match="theirs"):
        fetch._receive(response, tmp_path / "theirs.part", 0)  # type: ignore[arg-type]
    if declared:
        assert not (tmp_path / "theirs.part").exists()


class Pieces:
    """Stand-in for a tokenizer, whose vocabulary may be malicious."""

    def decode(self, ids: list[list[int]]) -> list[str]:
        return [f"one{ESCAPES[:-1]}\ntwo\tthree\r\u2028four\x85five" for _ in ids]


def test_a_translation_is_one_line_without_commands() -> None:
    translator = object.__new__(Translator)
    translator.tgt = Pieces()  # type: ignore[assignment]
    text = translator.text_of([4], [5])
    assert silent(text)
    assert not set(text) & set("\n\t\r\u2028\x85")
    assert text.count("two three four five") == 2
