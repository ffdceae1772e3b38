"""Locations of a corpus: own files in every layout, a mirror, the phrasebook; and fingerprints of files."""

import gzip
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nmt import phrasebook
from nmt.config import DataConfig, PhrasebookConfig, TextFiles
from nmt.config.data import DownloadConfig
from nmt.data.preprocessing import sources
from nmt.data.preprocessing.sources import Fingerprints, locate, make_once
from nmt.errors import UserError

PAIRS = [(f"the house number {i}", f"das Haus Nummer {i}") for i in range(6)]


def write(folder: Path, name: str, lines: list[str], packed: bool = False) -> str:
    content = "".join(f"{line}\n" for line in lines).encode()
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(gzip.compress(content) if packed else content)
    return name


def sides(pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [src for src, _ in pairs], [tgt for _, tgt in pairs]


def plain(folder: Path) -> TextFiles:
    src, tgt = sides(PAIRS)
    return TextFiles(src=[write(folder, "a.en", src)], tgt=[write(folder, "a.de", tgt)])


def gzipped(folder: Path) -> TextFiles:
    src, tgt = sides(PAIRS)
    return TextFiles(src=[write(folder, "a.en.gz", src, True)], tgt=[write(folder, "a.de.gz", tgt, True)])


def several(folder: Path) -> TextFiles:
    parts = [sides(PAIRS[:4]), sides(PAIRS[4:])]
    return TextFiles(
        src=[write(folder, f"part{i}/en", src) for i, (src, _) in enumerate(parts)],
        tgt=[write(folder, f"part{i}/de", tgt) for i, (_, tgt) in enumerate(parts)],
    )


def tab_separated(folder: Path) -> TextFiles:
    return TextFiles(tsv=[write(folder, "a.tsv", [f"{src}\t{tgt}\tthird" for src, tgt in PAIRS])])


@pytest.mark.parametrize("layout", [plain, gzipped, several, tab_separated])
def test_own_files_in_every_layout(tmp_path: Path, layout: Callable[[Path], TextFiles]) -> None:
    files = layout(tmp_path)
    splits = locate(DataConfig(root=str(tmp_path), train=files, valid=files))
    assert list(splits) == ["train", "valid"]  # no test set was named
    assert list(splits["train"].pairs()) == PAIRS == list(splits["valid"].pairs())
    assert splits["train"].paths() == [tmp_path / name for name in [*files.src, *files.tgt, *files.tsv]]


def test_a_root_that_is_not_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^data\.root=.*/nowhere is not a folder"):
        locate(DataConfig(root=str(tmp_path / "nowhere"), train=TextFiles(tsv=["a"]), valid=TextFiles(tsv=["a"])))


def mirrored(folder: Path) -> DataConfig:
    mirror = folder / "mirror"
    files = gzipped(mirror)
    digests = {path: hashlib.sha256((mirror / path).read_bytes()).hexdigest() for path in (*files.src, *files.tgt)}
    return DataConfig(
        download=DownloadConfig(url="https://example.org/corpus", sha256=digests),
        mirror=str(mirror),
        train=files,
        valid=files,
        cache=str(folder / "cache"),
    )


def test_a_download_is_read_from_a_mirror(tmp_path: Path) -> None:
    splits = locate(mirrored(tmp_path))
    assert list(splits["train"].pairs()) == PAIRS
    assert splits["train"].folder == tmp_path / "mirror"
    assert not (tmp_path / "cache").exists()


def test_another_version_in_the_mirror_is_refused(tmp_path: Path) -> None:
    config = mirrored(tmp_path)
    write(tmp_path / "mirror", "a.de.gz", ["another text"], packed=True)
    with pytest.raises(UserError, match=r"mirror/a\.de\.gz: is another version, SHA-256"):
        locate(config)


def phrases(folder: Path, src_lang: str = "en", **settings: int) -> DataConfig:
    sizes = {"train": 12, "valid": 4, "test": 3} | settings
    return DataConfig(
        phrasebook=PhrasebookConfig(**sizes),
        src_lang=src_lang,
        tgt_lang="de" if src_lang == "en" else "en",
        cache=str(folder),
    )


def test_the_phrasebook_is_written_as_the_grammar_gives_it(tmp_path: Path) -> None:
    splits = locate(phrases(tmp_path, seed=5))
    expected = phrasebook.splits(train=12, valid=4, test=3, seed=5, depth=1)
    assert {split: list(source.pairs()) for split, source in splits.items()} == {
        split: [(pair.en, pair.de) for pair in pairs] for split, pairs in expected.items()
    }


def test_the_phrasebook_in_the_other_direction_is_the_same_files(tmp_path: Path) -> None:
    forth, back = (locate(phrases(tmp_path, src_lang)) for src_lang in ("en", "de"))
    assert list(back["test"].pairs()) == [(tgt, src) for src, tgt in forth["test"].pairs()]
    assert forth["test"].folder == back["test"].folder


def test_each_setting_of_the_phrasebook_has_its_own_folder(tmp_path: Path) -> None:
    settings: list[dict[str, int]] = [{}, {"train": 13}, {"seed": 2}, {"depth": 0}]
    folders = [locate(phrases(tmp_path, **setting))["train"].folder for setting in settings]
    assert len(set(folders)) == 4
    assert locate(phrases(tmp_path))["train"].folder == folders[0]


def test_a_phrasebook_larger_than_the_grammar_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phrasebook, "_PATIENCE", 0)
    with pytest.raises(UserError, match="the grammar has only"):
        locate(phrases(tmp_path, train=200_000, depth=0))
    assert not [path for path in (tmp_path / "phrasebook").iterdir() if path.is_dir()]


def test_a_folder_is_made_once_and_never_half(tmp_path: Path) -> None:
    target = tmp_path / "cache" / "made"

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise UserError("the other half is missing")

    with pytest.raises(UserError, match="the other half"):
        make_once(target, fail)
    assert not [path for path in target.parent.iterdir() if path.is_dir()]
    left_by_a_killed_process = target.with_name("made.tmp")
    left_by_a_killed_process.mkdir()
    (left_by_a_killed_process / "half").touch()
    make_once(target, lambda folder: (folder / "whole").touch())
    make_once(target, fail)  # it exists already
    assert [path.name for path in target.iterdir()] == ["whole"]
    assert [path for path in target.parent.iterdir() if path.is_dir()] == [target]


def test_fingerprints_are_the_digests_and_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "text", ["the house"])
    known = Fingerprints(tmp_path / "fingerprints.json")
    digest = hashlib.sha256(b"the house\n").hexdigest()
    assert known.of(tmp_path / "text") == digest
    known.save()
    monkeypatch.setattr(sources, "sha256_of", lambda path: pytest.fail(f"{path} was read again"))
    assert Fingerprints(tmp_path / "fingerprints.json").of(tmp_path / "text") == digest


@pytest.mark.parametrize("keep_time", [False, True])
def test_a_changed_file_of_the_same_size_has_another_fingerprint(tmp_path: Path, keep_time: bool) -> None:
    known = Fingerprints(tmp_path / "fingerprints.json")
    file = tmp_path / write(tmp_path, "text", ["the house"])
    before = file.stat()
    known.of(file)
    while file.stat().st_ctime_ns == before.st_ctime_ns:  # file systems have coarse clocks
        write(tmp_path, "text", ["the mouse"])
        if keep_time:
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert known.of(file) == hashlib.sha256(b"the mouse\n").hexdigest()


def test_a_damaged_memory_of_fingerprints_is_forgotten(tmp_path: Path) -> None:
    memory = tmp_path / "fingerprints.json"
    file = tmp_path / write(tmp_path, "text", ["the house"])
    for damaged in (b"", b'{"half": [1', b"\xff\xfe"):
        memory.write_bytes(damaged)
        assert Fingerprints(memory).of(file) == hashlib.sha256(b"the house\n").hexdigest()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing\.en: No such file or directory; check the path"):
        Fingerprints(tmp_path / "fingerprints.json").of(tmp_path / "missing.en")


def test_a_pipe_is_not_a_corpus(tmp_path: Path) -> None:
    """No process writes to the pipe, so reading it would block forever."""
    os.mkfifo(tmp_path / "a")
    with pytest.raises(UserError, match="a is not a regular file"):
        Fingerprints(tmp_path / "known.json").of(tmp_path / "a")


def test_what_a_link_points_to_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "text").write_text("mine")
    (tmp_path / "made.tmp").symlink_to(theirs)
    make_once(tmp_path / "made", lambda folder: (folder / "ours").touch())
    assert (theirs / "text").read_text() == "mine"
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["ours"]
    assert not (tmp_path / "made").is_symlink()
