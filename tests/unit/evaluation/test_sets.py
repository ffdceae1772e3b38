"""Further test sets of a corpus: read from a mirror or the network when they are scored, and refused in one line."""

import gzip
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from downloaded_corpus import LATER, SENTENCES, corpus, files, write_files
from file_server import serving

from nmt.config import Config, CorpusLocation, DataConfig, ModelConfig, TextFiles, with_described_tests, with_location
from nmt.config.data import DownloadConfig
from nmt.data import prepare
from nmt.errors import UserError
from nmt.evaluation import EvaluationSet
from nmt.run import RunDirectory, corpus_settings, identity

ORIGINAL = ("train", "val", "test_2016_flickr")
MULTI30K = "https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a"


class Trained:
    """A run on a downloaded corpus whose further test sets appear on the server after training."""

    def __init__(self, folder: Path, url: str, requests: list[str]) -> None:
        self.folder, self.requests = folder, requests
        self.site = folder / "site"
        digests = write_files(folder / "elsewhere", (*ORIGINAL, *LATER))
        write_files(self.site, ORIGINAL)
        self.data = corpus(url, digests, folder / "cache")
        config = Config(data=self.data, model=ModelConfig(embed_size=8, hidden_size=8))
        self.run = RunDirectory(folder / "run")
        self.run.create(config, prepare(config.data))
        write_files(self.site, LATER)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "site").mkdir()
    with pytest.MonkeyPatch.context() as patch, serving(folder / "site") as (url, requests):
        patch.setenv("no_proxy", "127.0.0.1")
        yield Trained(folder, url, requests)


def lines_of(folder: Path, name: str, side: str) -> list[str]:
    return gzip.decompress((folder / "raw" / f"{name}.{side}.gz").read_bytes()).decode().split("\n")[:-1]


def test_preparation_downloads_no_further_test_set(trained: Trained) -> None:
    data = replace(trained.data, cache=str(trained.folder / "another"))
    trained.requests.clear()
    prepare(data)
    assert sorted(trained.requests) == sorted(f"/raw/{name}.{side}.gz" for name in ORIGINAL for side in ("en", "de"))


@pytest.mark.parametrize("name", LATER)
def test_a_test_set_published_after_training_is_downloaded_once(trained: Trained, name: str) -> None:
    trained.requests.clear()
    for _ in range(2):
        test = EvaluationSet.of_run(trained.run, name)
        assert test.name == name
        assert list(test.src) == lines_of(trained.site, name, "en")
        assert [list(lines) for lines in test.references] == [lines_of(trained.site, name, "de")]
        assert len(test.src) == SENTENCES
    assert sorted(trained.requests) == [f"/raw/{name}.de.gz", f"/raw/{name}.en.gz"]


def test_a_mirror_replaces_the_network(trained: Trained) -> None:
    trained.requests.clear()
    location = CorpusLocation(mirror=str(trained.folder / "elsewhere"), cache=str(trained.folder / "empty"))
    test = EvaluationSet.of_run(trained.run, LATER[0], with_location(trained.data, location))
    assert list(test.src) == lines_of(trained.site, LATER[0], "en")
    assert trained.requests == []
    assert not (trained.folder / "empty").exists()


def test_what_the_mirror_lacks_is_downloaded_and_said(
    trained: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_files(tmp_path / "old", ORIGINAL)
    location = CorpusLocation(mirror=str(tmp_path / "old"), cache=str(tmp_path / "cache"))
    test = EvaluationSet.of_run(trained.run, LATER[1], with_location(trained.data, location))
    assert list(test.src) == lines_of(trained.site, LATER[1], "en")
    assert caplog.messages == [
        f"data.mirror={tmp_path / 'old'} does not have raw/{LATER[1]}.en.gz, raw/{LATER[1]}.de.gz; downloading"
    ]


def test_another_version_in_the_mirror_is_refused(trained: Trained, tmp_path: Path) -> None:
    write_files(tmp_path, LATER)
    (tmp_path / "raw" / f"{LATER[0]}.de.gz").write_bytes(gzip.compress(b"another\n"))
    data = with_location(trained.data, CorpusLocation(mirror=str(tmp_path)))
    with pytest.raises(UserError, match="is another version, SHA-256"):
        EvaluationSet.of_run(trained.run, LATER[0], data)


def test_a_folder_of_ones_own_has_further_test_sets_too(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "talks.tsv").write_text("one\teins\ntwelve\tzwo\u0308lf\n", encoding="utf-8")
    data = DataConfig(root="gone", tests={"talks": TextFiles(tsv=["talks.tsv"])})
    test = EvaluationSet.of_run(trained.run, "talks", with_location(data, CorpusLocation(root=str(tmp_path))))
    assert list(test.src) == ["one", "twelve"]
    assert [list(lines) for lines in test.references] == [["eins", "zw\u00f6lf"]]


def test_an_unknown_set_is_refused_with_those_that_exist(trained: Trained) -> None:
    with pytest.raises(UserError) as caught:
        EvaluationSet.of_run(trained.run, "test_2019")
    assert str(caught.value) == (
        "the corpus captions has no test set 'test_2019' for en-de; it has: test, test_2017_flickr, test_2018_flickr. "
        "Score your own files by src=FILE ref=FILE"
    )


def test_a_set_without_one_of_the_languages_is_refused_with_the_missing_file(trained: Trained) -> None:
    digests = {path: digest for path, digest in trained.data.download.sha256.items() if "2017_flickr.de" not in path}
    data = replace(trained.data, download=replace(trained.data.download, sha256=digests))
    assert data.test_names == ["test", "test_2018_flickr"]
    with pytest.raises(UserError, match=re.escape(f"has no entry for raw/{LATER[0]}.de.gz); it has: test, test_2018")):
        EvaluationSet.of_run(trained.run, LATER[0], data)


def test_the_location_must_fit_the_corpus(trained: Trained) -> None:
    with pytest.raises(UserError, match=r"data\.root is given, but the run's corpus has no folder"):
        with_location(trained.data, CorpusLocation(root="x"))
    with pytest.raises(UserError, match=r"data\.mirror is given, but the run's corpus is not downloaded"):
        with_location(DataConfig(root="x"), CorpusLocation(mirror="x"))


def test_further_test_sets_change_neither_the_identity_nor_the_settings_of_a_run(trained: Trained) -> None:
    digests = {path: digest for path, digest in trained.data.download.sha256.items() if LATER[0] not in path}
    older = replace(trained.data, tests={}, download=replace(trained.data.download, sha256=digests))
    assert identity(Config(data=older)) == identity(Config(data=trained.data))
    assert corpus_settings(older) == corpus_settings(trained.data)
    other = replace(older, download=replace(older.download, sha256=digests | {"raw/train.en.gz": "0" * 64}))
    assert identity(Config(data=other)) != identity(Config(data=older))


def older_multi30k(url: str = MULTI30K, tgt_lang: str = "fr") -> DataConfig:
    """Return the corpus of a run of an older version, which names no further test set."""
    download = DownloadConfig(url=url, sha256={"data/task1/raw/train.en.gz": "0" * 64})
    return DataConfig(name="multi30k", tgt_lang=tgt_lang, download=download, train=files("train"), valid=files("val"))


def test_an_older_run_on_a_shipped_corpus_gets_its_further_test_sets() -> None:
    data = with_described_tests(older_multi30k())
    assert list(data.tests) == ["test_2017_flickr", "test_2017_mscoco", "test_2018_flickr"]
    assert data.tests["test_2017_mscoco"].tgt == ["data/task1/raw/test_2017_mscoco.fr.gz"]
    assert data.download.sha256["data/task1/raw/train.en.gz"] == "0" * 64  # the run's own checksums count
    assert data.download.sha256["data/task1/raw/test_2018_flickr.cs.gz"].startswith("7d0a9db904f94c55")
    assert with_described_tests(older_multi30k(tgt_lang="cs")).test_names == ["test_2018_flickr"]


def test_a_corpus_of_another_address_or_name_gets_none() -> None:
    assert with_described_tests(older_multi30k(url="https://example.org/files")).tests == {}
    for name in ("../multi30k", "unknown", "multi30k/../multi30k"):
        assert with_described_tests(replace(older_multi30k(), name=name)).tests == {}
