"""Test sets by name, from a cache in sacrebleu's layout, without network access."""

import io
import logging
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from sacrebleu.dataset import DATASETS

from nmt.errors import UserError
from nmt.evaluation import EvaluationSet
from nmt.metrics import fetch_test_set

SRC = ["Where is the station?", "The tea is hot."]
REF = ["Wo ist der Bahnhof?", "Der Tee ist heiß."]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set up a folder in place of ~/.sacrebleu, and a network that is unreachable."""
    for name in ("wmt14", "wmt14/full", "wmt20/tworefs"):
        monkeypatch.setattr(DATASETS[name], "_outdir", str(tmp_path / name))
        monkeypatch.setattr(DATASETS[name], "_rawdir", str(tmp_path / name / "raw"))

    def refuse(*_: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return tmp_path


def fill(folder: Path, stem: str, **sides: list[str]) -> None:
    folder.mkdir(parents=True)
    for side, lines in (sides | dict.fromkeys(("docid", "genre", "origlang"), ["x"] * len(SRC))).items():
        path = folder / f"{stem}.{side.replace('_', '-')}"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.mark.parametrize(("name", "stem"), [("wmt14", "wmt14.en-de"), ("wmt14/full", "wmt14_full.en-de")])
def test_a_set_is_read_from_sacrebleus_cache(cache: Path, name: str, stem: str) -> None:
    fill(cache / name, stem, src=SRC, ref=REF)
    actual = EvaluationSet.of_sacrebleu(name, "en-de")
    assert (actual.src, actual.references) == (SRC, [REF])
    assert actual.labels == {"test": name, "lang": "en-de"}
    assert actual.identity()["test"] == name


def test_a_set_with_several_references_has_them_all(cache: Path) -> None:
    fill(cache / "wmt20" / "tworefs", "wmt20_tworefs.de-en", src=REF, ref_0=SRC, ref_1=SRC[::-1])
    actual = EvaluationSet.of_sacrebleu("wmt20/tworefs", "de-en")
    assert actual.references == [SRC, SRC[::-1]]


@pytest.mark.parametrize(
    ("name", "pair", "words"),
    [
        ("wtm14", "en-de", ["testset=wtm14", "similar names are", "wmt14", "sacrebleu --list"]),
        ("nothing of the kind", "en-de", ["is not a test set of sacrebleu; `sacrebleu --list`"]),
        ("wmt14", "en-nl", ["testset=wmt14 has no en-nl", "de-en, en-cs, en-de", "sacrebleu --list -l en-nl"]),
        (
            "wmt14",
            "en-de",
            ["testset=wmt14 cannot be downloaded", "Name or service not known", "sacrebleu -t wmt14 -l en-de"],
        ),
    ],
)
def test_what_cannot_be_had_is_told_in_one_line(name: str, pair: str, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        fetch_test_set(name, pair)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_download_that_is_damaged_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_: io.BytesIO(b"something else"))
    with caplog.at_level(logging.INFO), pytest.raises(UserError, match=r"MD5 sum.* incorrect .*manually delete"):
        fetch_test_set("wmt14", "en-de")
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "Downloading http" in caplog.text


def test_a_set_that_was_cut_off_is_refused_with_the_folder_to_delete(cache: Path) -> None:
    fill(cache / "wmt14", "wmt14.en-de", src=SRC, ref=REF[:1])
    with pytest.raises(UserError, match=r"different length.* delete that folder"):
        EvaluationSet.of_sacrebleu("wmt14", "en-de")
