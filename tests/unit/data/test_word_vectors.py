"""Files of word vectors in all formats, against vectors written by this test; damaged and hostile files."""

import gzip
import pickle
import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nmt.data import VectorFile, text_files
from nmt.errors import UserError

WORDS = ["the", "▁house", "dog", "grün", "家", "</s>", "a,b", "\u00a0x"]
WIDTH = 5
random_source = random.Random(1)
VECTORS = {
    word: np.array([random_source.uniform(-3, 3) for _ in range(WIDTH)], dtype=np.float32) for word in WORDS
}  # exact in text: `repr` of a float32 as float gives the same number back


def text(header: bool, end: str = "\n", last: str = "\n") -> bytes:
    lines = [f"{len(VECTORS)} {WIDTH}"] * header
    lines += [" ".join([word, *(repr(float(x)) for x in vector)]) for word, vector in VECTORS.items()]
    return (end.join(lines) + last).encode()


def binary(newlines: bool = True, count: int | None = None) -> bytes:
    head = f"{len(VECTORS) if count is None else count} {WIDTH}\n".encode()
    entries = (
        word.encode() + b" " + vector.astype("<f4").tobytes() + b"\n" * newlines for word, vector in VECTORS.items()
    )
    return head + b"".join(entries)


def read(path: Path, wanted: list[str] = WORDS) -> dict[str, list[float]]:
    vectors = VectorFile.open(path).read({word.encode() for word in wanted}, lambda _: None)
    return {word.decode(): vector.tolist() for word, vector in vectors}


EXPECTED = {word: vector.tolist() for word, vector in VECTORS.items()}
FORMATS: dict[str, tuple[Callable[[], bytes], str]] = {
    "glove": (lambda: text(False), "text"),
    "word2vec": (lambda: text(True), "text with header"),
    "fasttext": (lambda: text(True, end=" \n", last=" \n"), "text with header"),
    "windows": (lambda: text(True, end="\r\n", last="\r\n"), "text with header"),
    "no last line end": (lambda: text(False, last=""), "text"),
    "byte order mark": (lambda: b"\xef\xbb\xbf" + text(True), "text with header"),
    "binary": (lambda: binary(), "binary word2vec"),
    "binary without newlines": (lambda: binary(newlines=False), "binary word2vec"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("block", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize("name", FORMATS)
def test_all_formats_give_the_same_vectors(
    name: str, block: int, packed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_files, "_BLOCK", block)
    make, kind = FORMATS[name]
    path = tmp_path / "vectors"
    path.write_bytes(gzip.compress(make()) if packed else make())
    assert read(path) == EXPECTED
    file = VectorFile.open(path)
    assert (file.width, file.format, file.count) == (WIDTH, kind, None if kind == "text" else len(VECTORS))
    assert read(path, ["dog", "cat"]) == {"dog": EXPECTED["dog"]}


def test_a_word_with_spaces_is_not_taken_for_its_first_part(tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    path.write_text("the 1 2 3\n. . . 4 5 6\n. 7 8 9\nat name@domain.com 1 1 1\n", encoding="utf-8")
    assert read(path, ["the", ".", "at"]) == {"the": [1, 2, 3], ".": [7, 8, 9]}


def test_words_that_are_not_utf8_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "vectors"
    path.write_bytes(b"2 2\n\xff\xc3 1 2\ndog 3 4\n")
    assert read(path) == {"dog": [3.0, 4.0]}


def test_the_bytes_read_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "_BLOCK", 16)
    path, sizes = tmp_path / "vectors", []
    path.write_bytes(text(True))
    assert len(list(VectorFile.open(path).read({b"dog"}, sizes.append))) == 1
    assert sum(sizes) == path.stat().st_size


HOSTILE = {
    "huge count": (b"999999999999 3\ndog 1 2 3\n", "announces 999999999999 vectors but the file has 1"),
    "huge width": (b"2 999999999999\ndog 1 2 3\n", "allowed: at least 1 vector of 1 to 65536 values"),
    "no width": (b"2 0\ndog\n", "allowed: at least 1 vector"),
    "no vectors": (b"0 3\n", "allowed: at least 1 vector"),
    "many digits": (b"9" * 5000 + b" 3\ndog 1 2 3\n", "line 1 is neither a header"),
    "negative": (b"-5 3\ndog 1 2 3\n", "line 1 is neither a header"),
    "prose": (b"the house is green\n", "line 1 is neither a header of count and width nor a word"),
    "empty": (b"", "line 1 is neither a header"),
    "not finite": (b"1 3\ndog 1 nan 3\n", "the vector of 'dog' is not finite"),
    "overflow": (b"1 3\ndog 1 1e300 3\n", "the vector of 'dog' is not finite"),
    "not a number": (b"2 3\nx 1 2 3\ndog 1 two 3\n", "line 3 is not a word with 3 numbers"),
    "short line": (b"2 3\nx 1 2 3\ndog 1 2\n", "line 3 is not a word with 3 numbers"),
    "cut off": (b"dog 1 2 3\ncat 1 2\n", "line 2 is not a word with 3 numbers"),
    "cut off binary": (binary()[:-9], f"announces {len(VECTORS)} vectors but the file has {len(VECTORS) - 1}"),
    "more announced": (binary(count=10**11), f"announces 100000000000 vectors but the file has {len(VECTORS)}"),
    "no word": (b"5 3\n" + b"\x01" * 9000, "vector 1 has no word before it"),
    "long line": (b"dog " + b"1" * (1 << 21), "line 1 is longer than 1,048,576 bytes"),
    "fasttext model": (struct.pack("<ii", 793712314, 12) + b"\0" * 99, r"is a fastText model; give the \.vec file"),
    "pickle": (pickle.dumps({"dog": [1.0]}), "is a Python pickle, which can execute code and is not opened"),
    "numpy": (b"\x93NUMPY\x01\x00" + b"\0" * 99, "is a NumPy array without words"),
    "zip": (b"PK\x03\x04" + b"\0" * 99, "zip data; convert it first with unzip -p"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_damaged_and_hostile_files_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    content, said = HOSTILE[name]
    path = tmp_path / "vectors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        read(path, ["dog"])
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UserError, match="check the path"):
            VectorFile.open(path)


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_memory_does_not_grow_with_the_file(kind: str, tmp_path: Path) -> None:
    """Read 16 MB of vectors, of which one is wanted; some blocks of 1 MiB are in memory, joined and apart."""
    path, width, count = tmp_path / "vectors", 100, 40_000
    vector = b" ".join([b"0.5"] * width) + b"\n" if kind == "text" else np.full(width, 0.5, "<f4").tobytes()
    with path.open("wb") as file:
        file.write(f"{count} {width}\n".encode())
        for number in range(count):
            file.write(f"word{number} ".encode() + vector)
    tracemalloc.start()
    assert len(read(path, ["word17"])) == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 15_000_000
    assert peak < 6_500_000
