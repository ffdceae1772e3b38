"""Fuzz tests of files, settings and lines: the result is correct or a `UserError` is raised."""

import gzip
import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzzing import BYTES, JSON, SCALARS, fuzzed, mutated, or_refused, replaced
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from shapes import model_config

from nmt.cli.app.file_translation import translate_file
from nmt.config import BatchUnit, Config, SearchConfig, SearchKind, TextFiles, from_hydra, load_config
from nmt.config.checks import problems_in
from nmt.data import PairStore, Tokenizer, TrainingBatches, normalise, read_lines
from nmt.data.preprocessing.parallel_text import read_pairs
from nmt.decoding import Translator
from nmt.models import Vocabulary, build_model

TREE = OmegaConf.to_container(OmegaConf.structured(Config()), enum_to_str=True)
FILE = b"data:\n  phrasebook:\n    train: 9\n  name: tea\nsearch: {kind: beam, alpha: 1.0}\nseed: 7\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@fuzzed
@given(BYTES)
def test_lines_are_separated_by_line_feeds(folder: Path, content: bytes) -> None:
    (folder / "text").write_bytes(content)
    (folder / "text.gz").write_bytes(gzip.compress(content, compresslevel=1))
    parts = content.split(b"\n")
    expected: list[str] | None = []
    try:
        lines = parts[:-1] if parts[-1] == b"" else parts
        texts = [line.removeprefix(b"\xef\xbb\xbf" * (at == 0)).decode() for at, line in enumerate(lines)]
        expected = [text.removesuffix("\r") for text in texts]
    except UnicodeDecodeError:
        expected = None
    for name in ("text", "text.gz"):
        if name == "text" and content.startswith(b"\x1f\x8b"):
            continue
        with or_refused("nothing" if expected is not None else name):
            assert list(read_lines(folder / name)) == expected


@fuzzed
@given(mutated(gzip.compress("die Tür ist offen\nthe door is open\n".encode() * 3, mtime=0)))
def test_damaged_archives_are_read_or_refused(folder: Path, content: bytes) -> None:
    (folder / "damaged.gz").write_bytes(content)
    with or_refused("damaged.gz"):
        assert not any("\n" in line for line in read_lines(folder / "damaged.gz"))


@fuzzed
@given(BYTES)
def test_tab_separated_pairs(folder: Path, content: bytes) -> None:
    (folder / "pairs").write_bytes(content)
    with or_refused("pairs"):
        pairs = list(read_pairs(TextFiles(tsv=["pairs"]), folder))
        lines = content.removeprefix(b"\xef\xbb\xbf").decode().removesuffix("\n").split("\n")
        assert [[src, tgt] for src, tgt in pairs] == [line.removesuffix("\r").split("\t")[:2] for line in lines]


def valid_or_refused(read: Callable[[], Config]) -> None:
    with or_refused("config", "is missing"):
        assert list(problems_in(read())) == []


@fuzzed
@given(st.lists(st.tuples(st.integers(0, 3000), JSON), min_size=1, max_size=3))
def test_random_settings_are_valid_or_refused(changes: list[tuple[int, object]]) -> None:
    tree: Any = json.loads(json.dumps(TREE))
    tree["data"] |= {"phrasebook": {}}
    for at, value in changes:
        tree = replaced(tree, at, value)
    if isinstance(tree, dict):  # default values are left out, because reading them takes most of the time
        few = {key: value for key, value in tree.items() if key == "data" or value != TREE.get(key, ...)}
        valid_or_refused(lambda: from_hydra(Config, few))


@fuzzed
@given(st.one_of(BYTES, mutated(FILE)))
def test_a_random_file_is_a_valid_configuration_or_refused(folder: Path, content: bytes) -> None:
    (folder / "config.yaml").write_bytes(content)
    valid_or_refused(lambda: load_config(Config, folder / "config.yaml"))


KEYS = sorted(f"{group}.{key}" for group, child in TREE.items() if isinstance(child, dict) for key in child)


@fuzzed
@given(st.lists(st.tuples(st.sampled_from(KEYS), SCALARS.map(str) | st.text(max_size=12)), max_size=3))
def test_random_overrides_are_valid_or_refused(folder: Path, pairs: list[tuple[str, str]]) -> None:
    path = folder / "usual.yaml"
    if not path.exists():
        path.write_text("data: {phrasebook: {}}\n")
    valid_or_refused(lambda: load_config(Config, path, dict(pairs)))


SENTENCES = st.lists(st.integers(4, 70_000), max_size=7)


@fuzzed
@given(
    st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=20),
    *(st.sampled_from(BatchUnit), st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**63 - 1), st.integers(1, 3)),
)
def test_every_pair_is_in_a_batch_once_per_epoch(
    pairs: list[tuple[list[int], list[int]]], unit: BatchUnit, size: int, pool: int, seed: int, processes: int
) -> None:
    store = PairStore.of([src for src, _ in pairs], [tgt for _, tgt in pairs])
    indices: list[int] = []
    for rank in range(processes):
        batches = TrainingBatches(store, unit, size, pool, seed, share=(rank, processes))
        batch = batches.next()
        while batches.epoch == 0:
            indices += batch.indices
            for column, index in enumerate(batch.indices):
                src = batch.src[:, column][batch.src_mask[:, column]].tolist()
                tgt = batch.tgt_out[:, column][batch.tgt_mask[:, column]].tolist()
                assert (src[:-1], tgt[:-1]) == pairs[index]
            batch = batches.next()
    assert Counter(indices) == Counter(range(len(pairs)))


@pytest.fixture(scope="module")
def translator(tokenizer: Tokenizer) -> Translator:
    torch.manual_seed(0)
    model = build_model(model_config(embed_size=8, hidden_size=8), Vocabulary(200, 200))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return Translator(model, tokenizer, tokenizer, SearchConfig())


@fuzzed
@given(BYTES, st.sampled_from(SearchKind), st.booleans())
def test_one_line_for_each_line(
    folder: Path, translator: Translator, content: bytes, kind: SearchKind, piped: bool
) -> None:
    translator.config = SearchConfig(
        kind=kind, beam_size=2, groups=2, mbr_samples=2, max_length_ratio=0.0, max_length_offset=3, temperature=2.0
    )
    (folder / "out").unlink(missing_ok=True)
    with (folder / "given").open("wb") as file:
        file.write(content)
    given = folder / "given"
    with or_refused("given" if not piped else "fd"):
        if piped:
            with subprocess.Popen(["cat", given], stdout=subprocess.PIPE) as cat:
                assert cat.stdout is not None
                translate_file(translator, Path(f"/dev/fd/{cat.stdout.fileno()}"), str(folder / "out"))
        else:
            translate_file(translator, given, str(folder / "out"))
        output = (folder / "out").read_bytes().decode()
        expected = content.count(b"\n") + (not content.endswith(b"\n") and content != b"")
        assert output.count("\n") == expected
        assert output.endswith("\n") or not expected
        assert all(text.isprintable() or text == normalise(text) for text in output.split("\n"))


@fuzzed
@given(st.text(), st.text("abcdefghijklmnoprstuvw .,"))
def test_text_comes_back_from_its_pieces(tokenizer: Tokenizer, anything: str, known: str) -> None:
    ids = tokenizer.encode([normalise(anything), normalise(known)])
    assert all(0 <= piece < tokenizer.size for line in ids for piece in line)
    assert "\n" not in tokenizer.decode(ids)[0]
    assert tokenizer.decode(ids)[1] == normalise(known)


@fuzzed
@given(st.data())
def test_a_damaged_tokenizer_is_refused_or_works(tokenizer: Tokenizer, data: st.DataObject) -> None:
    with or_refused("the tokenizer"):
        damaged = Tokenizer(data.draw(mutated(tokenizer.model)))
        ids = damaged.encode(["the door is open", "Tür ⁂"])
        assert all(isinstance(text, str) for text in damaged.decode(ids))
        assert all(0 <= piece < damaged.size for line in ids for piece in line)
