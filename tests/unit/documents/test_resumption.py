"""A translation of a document that is stopped continues, and refuses another document or other settings."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sample_documents import LANGUAGES, by_word

from nmt.config import DocumentFormat, InputFormat, document_format
from nmt.documents import document as module
from nmt.documents.document import translate_document
from nmt.documents.inline import Segment
from nmt.errors import UserError

SENTENCES = 20
TEXT = "".join(f"The house number {number} is *red*.\n\n" for number in range(SENTENCES))


class Stopped(Exception):
    """Stop in the middle of a translation."""


class Counting:
    """Translation that counts its sentences and stops after a number of them."""

    def __init__(self, most: int = 1000) -> None:
        self.count = 0
        self.most = most

    def __call__(self, segments: Sequence[Segment], escape: Callable[[str], str]) -> list[str]:
        if self.count + len(segments) > self.most:
            raise Stopped
        self.count += len(segments)
        return by_word(str.upper)(segments, escape)


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP", 3)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.md"
    path.write_text(TEXT)
    return path


def run(translate: Counting, source: Path, settings: str = "settings") -> None:
    output = str(source.with_name("out.md"))
    translate_document(translate, source, output, DocumentFormat.markdown, LANGUAGES, settings)


def stop(source: Path, most: int = 7) -> Path:
    with pytest.raises(Stopped):
        run(Counting(most), source)
    return source.with_name("out.md.part")


def names(source: Path) -> list[str]:
    return sorted(path.name for path in source.parent.iterdir())


def test_only_the_missing_sentences_are_translated(source: Path) -> None:
    stop(source)
    assert names(source) == ["in.md", "out.md.part"]
    rest = Counting()
    run(rest, source)
    assert rest.count == SENTENCES - 6
    assert source.with_name("out.md").read_text() == TEXT.upper()
    assert names(source) == ["in.md", "out.md"]


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_a_journal_that_was_cut_off_loses_only_its_last_lines(source: Path, cut: int) -> None:
    journal = stop(source)
    journal.write_bytes(journal.read_bytes()[:-cut])
    run(Counting(), source)
    assert source.with_name("out.md").read_text() == TEXT.upper()


def test_a_file_of_the_user_beside_the_output_is_kept(source: Path) -> None:
    for name in ("out.md.part", "out.md.new"):
        source.with_name(name).write_text("a note")
    with pytest.raises(UserError, match=r"out\.md\.part is not a journal of a translation"):
        run(Counting(), source)
    source.with_name("out.md.part").unlink()
    run(Counting(), source)
    assert source.with_name("out.md.new").read_text() == "a note"
    assert source.with_name("out.md").read_text() == TEXT.upper()


def test_a_folder_as_output_is_refused_before_the_translation(source: Path) -> None:
    source.with_name("out.md").mkdir()
    counting = Counting()
    with pytest.raises(UserError, match=r"output=.*out\.md is a folder; name a file in it"):
        run(counting, source)
    assert counting.count == 0


def test_a_changed_document_and_other_settings_are_refused(source: Path) -> None:
    journal = stop(source)
    with pytest.raises(UserError, match=r"begun with another run, checkpoint or settings; delete .*out\.md\.part"):
        run(Counting(), source, "others")
    source.write_text(TEXT + "More.\n")
    with pytest.raises(UserError, match=r"in\.md has changed since its translation was begun; delete .*out\.md\.part"):
        run(Counting(), source)
    source.write_text(TEXT)
    assert len(journal.read_text().splitlines()) == 3
    journal.write_text(json.dumps(["something else"]) + "\n")
    with pytest.raises(UserError, match="is not a journal of a translation"):
        run(Counting(), source)


def test_nothing_stays_when_no_sentence_is_finished(source: Path) -> None:
    stop(source, most=0)
    assert names(source) == ["in.md"]


def test_the_output_goes_to_standard_output(source: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    source.write_bytes(b"The house.\r\n")
    translate_document(Counting(), source, None, DocumentFormat.text, LANGUAGES, "settings")
    assert capfdbinary.readouterr().out == b"THE HOUSE.\r\n"
    assert names(source) == ["in.md"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"One.\ncaf\xe9\n", r"in\.md: line 2 is not UTF-8 \(0xe9 at byte 4 of the line\)"),
        (b"PK\x03\x04....", "is not UTF-8 text but zip data"),
        (b"\x1f\x8b....", "is gzip data"),
    ],
)
def test_what_is_not_text_is_refused(source: Path, data: bytes, message: str) -> None:
    source.write_bytes(data)
    with pytest.raises(UserError, match=message):
        run(Counting(), source)


def test_the_suffix_chooses_the_format() -> None:
    assert document_format("a/B.MD") == DocumentFormat.markdown
    assert [document_format(name) for name in ("a.txt", "a", "-", "a.tsv")] == [None] * 4
    assert document_format("a.md", InputFormat.lines) is None
    assert document_format("a.txt", InputFormat.text) == DocumentFormat.text
