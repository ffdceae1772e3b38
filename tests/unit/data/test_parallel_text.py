"""Reading of text: line ends, encodings, gzip, and error messages for faulty files."""

import gzip
import itertools
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.config.data import TextFiles
from nmt.data.preprocessing.parallel_text import read_pairs
from nmt.data.text_files import read_lines
from nmt.errors import UserError


def write(path: Path, content: bytes, packed: bool = False) -> Path:
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


def complaint(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        list(read_lines(path))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"the house\nthe garden\n", ["the house", "the garden"]),
        (b"the house\nthe garden", ["the house", "the garden"]),
        (b"the house\n\n the garden \n", ["the house", "", " the garden "]),
        (b"the house\r\nthe garden\r\n", ["the house", "the garden"]),
        (b"the house\r\r\nthe\rgarden\r", ["the house\r", "the\rgarden"]),
        (b"\xef\xbb\xbfthe house\n\xef\xbb\xbfthe garden\n", ["the house", "\ufeffthe garden"]),
        ("das schöne Häuschen 🏠\n".encode(), ["das schöne Häuschen 🏠"]),
        (
            "a\u2028b\u2029c\x0cd\x0be\x1cf\x1dg\x1eh\x85i\n".encode(),
            ["a\u2028b\u2029c\x0cd\x0be\x1cf\x1dg\x1eh\x85i"],
        ),
    ],
)
def test_lines(tmp_path: Path, content: bytes, lines: list[str], packed: bool) -> None:
    assert list(read_lines(write(tmp_path / "text", content, packed))) == lines


@pytest.mark.parametrize(("name", "packed"), [("text.gz", False), ("text", True)])
def test_gzip_is_detected_by_content_not_by_name(tmp_path: Path, name: str, packed: bool) -> None:
    assert list(read_lines(write(tmp_path / name, b"the house\n", packed))) == ["the house"]


def test_gzip_of_several_members(tmp_path: Path) -> None:
    file = tmp_path / "text.gz"
    file.write_bytes(gzip.compress(b"the house\nthe ") + gzip.compress(b"garden\n"))
    assert list(read_lines(file)) == ["the house", "the garden"]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\ufeff")), max_size=6))
def test_lines_come_back(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    file = tmp_path_factory.getbasetemp() / "lines"
    file.write_bytes("".join(f"{line}\n" for line in lines).encode())
    assert list(read_lines(file)) == lines


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    "bad",
    [b"caf\xe9 noir", b"the \xed\xa0\x80 house", b"the \xc0\xaf house", b"cut \xe2\x82"],
    ids=["latin-1", "surrogate", "overlong", "cut"],
)
def test_bytes_that_are_not_utf8(tmp_path: Path, bad: bytes, packed: bool) -> None:
    file = write(tmp_path / "text", b"the house\nthe garden\n" + bad + b"\nthe end\n", packed)
    assert "line 3 is not UTF-8" in complaint(file)
    assert list(itertools.islice(read_lines(file), 2)) == ["the house", "the garden"]


def test_the_bad_byte_is_named(tmp_path: Path) -> None:
    assert "(0xe9 at byte 4 of the line)" in complaint(write(tmp_path / "text", b"caf\xe9\n"))


def test_utf16_is_refused(tmp_path: Path) -> None:
    assert "line 1 is not UTF-8" in complaint(write(tmp_path / "text", "the house\n".encode("utf-16")))


def test_damaged_gzip(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(b"the house number %d\n" % number for number in range(5000)))
    middle = len(whole) // 2
    broken = {
        "cut": whole[:middle],
        "header": whole[:5],
        "data": whole[:middle] + bytes(20) + whole[middle + 20 :],
        "block": whole[:10] + b"\x07" + whole[11:],  # after the header of 10 bytes, the reserved block type 3
        "checksum": whole[:-8] + bytes(8),
        "tail": whole + b"garbage",
    }
    for name, content in broken.items():
        assert "gzip data cut off or damaged" in complaint(write(tmp_path / name, content)), name


def test_missing_file_and_directory(tmp_path: Path) -> None:
    assert "No such file" in complaint(tmp_path / "none")
    assert "directory" in complaint(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_file_without_rights(tmp_path: Path) -> None:
    file = write(tmp_path / "text", b"the house\n")
    file.chmod(0)
    assert "Permission denied" in complaint(file)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "text.gz", b"the house and the garden\n" * 200_000, packed=True)  # 5 MB unpacked
    tracemalloc.start()
    count = sum(1 for _ in read_lines(file))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 200_000
    assert peak < 1_000_000


def test_pairs_over_several_files(tmp_path: Path) -> None:
    write(tmp_path / "a.en", b"the house\nthe garden\n")
    write(tmp_path / "a.de", b"das Haus\nder Garten\n", packed=True)
    write(tmp_path / "b.en", b"the door\n")
    write(tmp_path / "b.de", "die Tür".encode())
    pairs = read_pairs(TextFiles(src=["a.en", "b.en"], tgt=["a.de", "b.de"]), tmp_path)
    assert list(pairs) == [("the house", "das Haus"), ("the garden", "der Garten"), ("the door", "die Tür")]


def test_absolute_names_are_the_users_own_files(tmp_path: Path) -> None:
    own = write(tmp_path / "own.tsv", b"the house\tdas Haus\n")
    assert list(read_pairs(TextFiles(tsv=[str(own)]), tmp_path / "elsewhere")) == [("the house", "das Haus")]


def test_tab_separated_takes_two_columns(tmp_path: Path) -> None:
    write(tmp_path / "a.tsv", b"the house\tdas Haus\t0.9\tx\r\nthe garden\t\n")
    write(tmp_path / "b.tsv", b"\tdie Katze\n")
    pairs = list(read_pairs(TextFiles(tsv=["a.tsv", "b.tsv"]), tmp_path))
    assert pairs == [("the house", "das Haus"), ("the garden", ""), ("", "die Katze")]


@pytest.mark.parametrize("line", [b"the garden", b""])
def test_tab_separated_line_without_tab(tmp_path: Path, line: bytes) -> None:
    write(tmp_path / "a.tsv", b"the house\tdas Haus\n" + line + b"\n")
    with pytest.raises(UserError, match=r"a\.tsv: line 2 has no tab"):
        list(read_pairs(TextFiles(tsv=["a.tsv"]), tmp_path))


@pytest.mark.parametrize(("src_count", "tgt_count"), [(2, 5), (5, 2), (0, 3)])
def test_sides_of_different_length(tmp_path: Path, src_count: int, tgt_count: int) -> None:
    write(tmp_path / "a.en", b"the house\n" * src_count)
    write(tmp_path / "a.de", b"das Haus\n" * tgt_count)
    pairs = read_pairs(TextFiles(src=["a.en"], tgt=["a.de"]), tmp_path)
    common = min(src_count, tgt_count)
    assert list(itertools.islice(pairs, common)) == [("the house", "das Haus")] * common
    with pytest.raises(UserError, match=rf"a\.en has {src_count} lines and \S*a\.de has {tgt_count};"):
        next(pairs)


@pytest.mark.parametrize(
    "files", [TextFiles(src=["empty"], tgt=["empty"]), TextFiles(tsv=["empty", "empty"]), TextFiles()]
)
def test_corpus_without_pairs(tmp_path: Path, files: TextFiles) -> None:
    write(tmp_path / "empty", b"")
    with pytest.raises(UserError, match="no sentence pair"):
        list(read_pairs(files, tmp_path))
