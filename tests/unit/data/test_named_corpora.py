"""Corpora fetched by name: their files come from a loopback server or a mirror, with stand-ins for the text."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

import pytest
import sacrebleu
from hydra import compose

from nmt import phrasebook
from nmt.config import Config, DataConfig, TokenizerConfig, from_hydra
from nmt.config.data import DownloadConfig
from nmt.data import prepare
from nmt.errors import UserError
from nmt.metrics import all_scores

NAMES = ("tanaka", "mafand_bam", "mafand_bbj", "mafand_lug", "mafand_pcm", "mafand_twi")
SPLITS = {split: list(pairs) for split, pairs in phrasebook.splits(train=80, valid=6, test=5, seed=7).items()}
TOKENIZER = TokenizerConfig(vocab_size=150, hard_vocab_limit=False)

pytestmark = pytest.mark.usefixtures("composing")


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve the folder `upstream` and yield its address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "upstream").mkdir()
    handler = partial(QuietHandler, directory=str(tmp_path / "upstream"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def stand_in(name: str, folder: Path, url: str) -> DataConfig:
    """Write phrasebook sentences under the names of the corpus's files; return its configuration with their digests."""
    data = from_hydra(Config, compose("train", overrides=[f"data={name}"])).data

    digests = {}
    for split in ("train", "valid", "test"):
        files = getattr(data, split)
        for path, language in [(files.src[0], "en"), (files.tgt[0], "de")]:
            body = "".join(f"{getattr(pair, language)}\n" for pair in SPLITS[split]).encode()
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(body)
            digests[path] = hashlib.sha256(body).hexdigest()
    assert data.download is not None
    assert set(digests) == set(data.download.sha256)
    return replace(data, download=DownloadConfig(url, digests), tokenizer=TOKENIZER, cache=str(folder.parent / "cache"))


@pytest.mark.parametrize("name", NAMES)
def test_a_corpus_is_fetched_by_name_with_its_splits(name: str, server: str, tmp_path: Path) -> None:
    prepared = prepare(stand_in(name, tmp_path / "upstream", server))
    for split in ("valid", "test"):
        for side, language in (("src", "en"), ("tgt", "de")):
            lines = Path(f"{prepared.text(split)}.{side}").read_text(encoding="utf-8").splitlines()
            assert lines == [getattr(pair, language) for pair in SPLITS[split]]
    assert len(prepared.store("train")) == 80


def test_a_mirror_replaces_the_network(server: str, tmp_path: Path) -> None:
    data = stand_in("tanaka", tmp_path / "upstream", "http://127.0.0.1:9")  # nothing listens on this port
    prepared = prepare(replace(data, mirror=str(tmp_path / "upstream")))
    assert len(prepared.store("train")) == 80


def test_a_changed_file_is_refused_by_name(server: str, tmp_path: Path) -> None:
    data = stand_in("mafand_lug", tmp_path / "upstream", server)
    changed = tmp_path / "upstream" / "data/text_files/en-lug/dev.lug"
    changed.write_bytes(changed.read_bytes() + b"\n")
    with pytest.raises(UserError, match=r"dev\.lug: downloaded from .* expected"):
        prepare(data)


@pytest.mark.parametrize("name", NAMES)
def test_the_address_is_pinned_to_a_commit(name: str) -> None:
    download = from_hydra(Config, compose("train", overrides=[f"data={name}"])).data.download
    assert download is not None
    address = urlparse(download.url)
    assert (address.scheme, address.hostname) == ("https", "raw.githubusercontent.com")
    commit = address.path.split("/")[3]
    assert len(commit) == 40
    assert int(commit, 16)


def test_japanese_is_scored_on_the_words_of_the_corpus_or_on_characters_without_spaces() -> None:
    """BLEU with `none` counts the corpus's words; with `char` it does not depend on who split them."""
    tokenize = from_hydra(Config, compose("train", overrides=["data=tanaka"])).data.bleu_tokenize
    reference, same_words, other_words = (
        "その 扉 は 開い て い る 。",
        "その 扉 は 開い て い る 。",
        "その 扉 は 開いて いる 。",
    )
    assert all_scores([same_words], [reference], tokenize)["bleu"].score == pytest.approx(100)
    by_hand = sacrebleu.corpus_bleu([other_words], [[reference]], tokenize="none", force=True).score
    assert all_scores([other_words], [reference], tokenize)["bleu"].score == pytest.approx(by_hand)
    assert by_hand < 50
    assert all_scores([other_words], [reference], "char")["bleu"].score == pytest.approx(100)
