"""Preparation: the ids equal the corpus, the result is cached and atomic, and mistakes are reported in one line."""

import gzip
import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nmt import phrasebook
from nmt.config import DataConfig, PhrasebookConfig, TextFiles, TokenizerConfig, TokenizerType
from nmt.config.data import CleaningConfig
from nmt.data import Prepared, normalise, prepare
from nmt.errors import UserError

MODULE = importlib.import_module("nmt.data.preprocessing.prepare")  # the package's `prepare` is the function
VOCABULARIES = importlib.import_module("nmt.data.preprocessing.vocabularies")
# With this seed, the few training sentences contain every character of the other two splits.
SPLITS = {split: list(pairs) for split, pairs in phrasebook.splits(train=80, valid=6, test=5, seed=7).items()}
SMALL = TokenizerConfig(type=TokenizerType.bpe, vocab_size=120)


def write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def corpus(folder: Path, **settings: object) -> DataConfig:
    """Write sentences of the phrasebook to files and return their configuration, with a cache in the same folder."""
    root = folder / "corpus"
    root.mkdir()
    for split, pairs in SPLITS.items():
        write(root / f"{split}.en", [pair.en for pair in pairs])
        write(root / f"{split}.de", [pair.de for pair in pairs])
    files = {split: TextFiles(src=[f"{split}.en"], tgt=[f"{split}.de"]) for split in SPLITS}
    return replace(DataConfig(root=str(root), cache=str(folder / "cache"), tokenizer=SMALL, **files), **settings)  # type: ignore[arg-type]


def root(config: DataConfig) -> Path:
    assert config.root is not None
    return Path(config.root)


def text_of(prepared: Prepared, split: str) -> list[tuple[str, str]]:
    store = prepared.store(split)
    sides = [
        prepared.tokenizer(name).decode([side[i].tolist() for i in range(len(store))])
        for name, side in (("src", store.src), ("tgt", store.tgt))
    ]
    return list(zip(*sides, strict=True))


def report_of(prepared: Prepared) -> dict[str, object]:
    report: dict[str, object] = json.loads((prepared.folder / "report.json").read_text(encoding="utf-8"))
    return report


def folders(config: DataConfig) -> list[Path]:
    assert config.cache is not None
    return [path for path in Path(config.cache).glob("prepared/*") if path.is_dir()]


def refusal(config: DataConfig) -> str:
    with pytest.raises(UserError) as caught:
        prepare(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("joint", [True, False])
def test_the_ids_are_the_sentences(tmp_path: Path, joint: bool) -> None:
    prepared = prepare(corpus(tmp_path, tokenizer=replace(SMALL, joint=joint, vocab_size=90)))
    for split, pairs in SPLITS.items():
        assert text_of(prepared, split) == [(pair.en, pair.de) for pair in pairs]
    assert prepared.held_out == ["valid", "test"]
    assert (prepared.tokenizer("src").model == prepared.tokenizer("tgt").model) is joint
    assert prepared.tokenizer("src").size == prepared.tokenizer("tgt").size == 90
    known_to_src = prepared.tokenizer("src").decode(prepared.tokenizer("src").encode(["schön"])) == ["schön"]
    assert known_to_src is joint  # no English sentence has an ö


def test_blocks_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.data.preprocessing.shard_steps.BLOCK", 7)
    assert text_of(prepare(corpus(tmp_path)), "train") == [(pair.en, pair.de) for pair in SPLITS["train"]]


def test_the_phrasebook_is_prepared_with_nothing_at_hand(tmp_path: Path) -> None:
    book = PhrasebookConfig(train=80, valid=6, test=5, seed=7)
    prepared = prepare(DataConfig(phrasebook=book, cache=str(tmp_path), tokenizer=SMALL))
    assert text_of(prepared, "test") == [(pair.en, pair.de) for pair in SPLITS["test"]]
    own = prepare(corpus(tmp_path, cache=str(tmp_path)))
    assert own.folder == prepared.folder  # the same content in another folder


def test_a_corpus_without_a_test_set(tmp_path: Path) -> None:
    prepared = prepare(corpus(tmp_path, test=TextFiles()))
    assert prepared.held_out == ["valid"]
    assert report_of(prepared)["held_out"] == {"valid": 6}
    with pytest.raises(UserError, match=r"test-00000\.src\.ids and .* are missing"):
        prepared.store("test")


def state(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix != ".lock"}


def test_the_second_time_nothing_is_read_or_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = corpus(tmp_path)
    first, before = prepare(config), state(tmp_path)
    monkeypatch.setattr(MODULE, "write_corpus", lambda *_: pytest.fail("prepared again"))
    monkeypatch.setattr("nmt.data.preprocessing.sources.sha256_of", lambda path: pytest.fail(f"{path} was read again"))
    assert prepare(config).folder == first.folder
    assert state(tmp_path) == before


@pytest.mark.parametrize(
    ("settings", "other"),
    [
        ({"tokenizer": replace(SMALL, vocab_size=121)}, True),
        ({"tokenizer": replace(SMALL, joint=False)}, True),
        ({"cleaning": CleaningConfig(max_words=149)}, True),
        ({"cleaning": CleaningConfig(drop_test_sources=True)}, True),
        ({"max_pieces": 249}, True),
        ({"test": TextFiles()}, True),
        ({"valid": TextFiles(src=["test.en"], tgt=["test.de"])}, True),
        ({"name": "renamed", "bleu_tokenize": "none"}, False),
    ],
)
def test_a_setting_that_changes_the_ids_has_another_folder(
    tmp_path: Path, settings: dict[str, object], other: bool
) -> None:
    config = corpus(tmp_path)
    assert (prepare(replace(config, **settings)).folder != prepare(config).folder) is other  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["train.en", "train.de", "valid.en", "test.de"])
def test_changed_content_has_another_folder(tmp_path: Path, name: str) -> None:
    config = corpus(tmp_path)
    before = prepare(config).folder
    file = root(config) / name
    file.write_bytes(file.read_bytes().replace(b".", b"!", 1))
    assert prepare(config).folder != before
    assert before.exists()


def test_an_interrupted_preparation_continues_from_the_finished_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = corpus(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(VOCABULARIES, "train_tokenizers", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepare(config)
    (half,) = folders(config)
    assert half.suffix == ".tmp"
    monkeypatch.setattr("nmt.data.preprocessing.shard_steps.clean_shard", lambda *_: pytest.fail("cleaned again"))
    prepared = prepare(config)
    assert folders(config) == [prepared.folder] == [half.with_suffix("")]
    assert text_of(prepared, "train") == [(pair.en, pair.de) for pair in SPLITS["train"]]
    assert not (prepared.folder / "work").exists()


def test_leftover_files_do_not_become_part_of_the_corpus(tmp_path: Path) -> None:
    config = corpus(tmp_path)
    whole = prepare(config).folder
    whole.rename(whole.with_name(f"{whole.name}.tmp"))
    (whole.with_name(f"{whole.name}.tmp") / "train-00000.src.ids").write_bytes(b"half")
    (whole.with_name(f"{whole.name}.tmp") / "stray").touch()
    repaired = prepare(config)
    assert folders(config) == [whole] == [repaired.folder]
    assert not (whole / "stray").exists()
    assert len(text_of(repaired, "train")) == 80


def test_duplicates_and_test_sentences_are_dropped_and_reported(tmp_path: Path) -> None:
    config = corpus(tmp_path)
    train, held_out = SPLITS["train"], [*SPLITS["valid"][:2], SPLITS["test"][0]]
    dirty = [*train, *train[:3], *held_out]
    write(root(config) / "train.en", [f"  {pair.en} " for pair in dirty] + ["the house"])
    write(root(config) / "train.de", [pair.de for pair in dirty] + [""])
    prepared = prepare(config)
    assert text_of(prepared, "train") == [(pair.en, pair.de) for pair in train]
    report = report_of(prepared)
    assert (report["read"], report["kept"], report["over_max_pieces"]) == (87, 80, 0)
    assert report["dropped"] == {
        "empty": 1,
        "too_long": 0,
        "ratio": 0,
        "identical": 0,
        "in_test": 3,
        "source_in_test": 0,
        "duplicate": 3,
    }
    assert report["held_out"] == {"valid": 6, "test": 5}
    assert "duplicate" in prepared.report


def test_pairs_of_too_many_pieces_are_dropped_from_training_alone(tmp_path: Path) -> None:
    prepared = prepare(corpus(tmp_path, max_pieces=20))
    lengths = {
        split: [max(pair) for pair in zip(store.src.lengths(), store.tgt.lengths(), strict=True)]
        for split in SPLITS
        for store in [prepared.store(split)]
    }
    assert max(lengths["train"]) <= 20 < max(lengths["valid"])
    assert 0 < len(lengths["train"]) == 80 - report_of(prepared)["over_max_pieces"]  # type: ignore[operator]
    assert len(lengths["valid"]) == 6


def test_held_out_text_is_kept_byte_for_byte(tmp_path: Path) -> None:
    config = corpus(tmp_path)
    odd = ["  the  house ", "the\u00a0garden\t", "cafe\u0301 \u2026", "one\u2028line\x0c", "", "the 家"]
    write(root(config) / "valid.en", odd)
    prepared = prepare(config)
    for split, side, suffix in (("valid", "src", "en"), ("valid", "tgt", "de"), ("test", "src", "en")):
        assert Path(f"{prepared.text(split)}.{side}").read_bytes() == (root(config) / f"{split}.{suffix}").read_bytes()
    src = [src for src, _ in text_of(prepared, "valid")]
    assert src[:2] + src[4:5] == [normalise(line) for line in odd[:2] + odd[4:5]]


def test_the_tokenizer_is_trained_on_at_most_max_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def watched(lines: object, config: TokenizerConfig) -> bytes:
        seen.append(list(lines))  # type: ignore[call-overload]
        return train(seen[-1], config)

    train: Callable[..., bytes] = VOCABULARIES.train_tokenizer
    monkeypatch.setattr(VOCABULARIES, "train_tokenizer", watched)
    prepare(corpus(tmp_path, tokenizer=replace(SMALL, vocab_size=80, joint=False, max_lines=50)))
    assert [len(lines) for lines in seen] == [40, 40]  # every second line of 80
    assert seen[0] == [pair.en for pair in SPLITS["train"][::2]]
    assert seen[1] == [pair.de for pair in SPLITS["train"][::2]]


def shorten(folder: Path) -> None:
    write(folder / "train.de", [pair.de for pair in SPLITS["train"][:-1]])


def empty(folder: Path) -> None:
    for name in ("train.en", "train.de"):
        write(folder / name, [])


def spoil(folder: Path) -> None:
    with (folder / "train.en").open("ab") as file:
        file.write(b"caf\xe9\n")
    with (folder / "train.de").open("ab") as file:
        file.write(b"the end\n")


def cut(folder: Path) -> None:
    (folder / "valid.en").write_bytes(gzip.compress((folder / "valid.en").read_bytes())[:-9])


def copy_source(folder: Path) -> None:
    (folder / "train.de").write_bytes((folder / "train.en").read_bytes())


MISTAKES: dict[str, tuple[Callable[[Path], object], dict[str, object], str]] = {
    "sides unequal": (shorten, {}, "train.en has 80 lines and "),
    "a file missing": (lambda folder: (folder / "test.de").unlink(), {}, "test.de: No such file or directory"),
    "an empty corpus": (empty, {}, "train.de: no sentence pair found"),
    "not UTF-8": (spoil, {}, "train.en: line 81 is not UTF-8"),
    "gzip cut off": (cut, {}, "valid.en: gzip data cut off"),
    "everything dropped": (copy_source, {}, "all 80 training pairs were dropped (identical: 80); check data.cleaning"),
    "every pair too long": (lambda _: None, {"max_pieces": 1}, "more than data.max_pieces=1 pieces; raise it"),
    "vocabulary too large": (
        lambda _: None,
        {"tokenizer": replace(SMALL, vocab_size=9000)},
        "data.tokenizer.vocab_size=9000 is more than this corpus can fill; set it to ",
    ),
    "vocabulary too small": (
        lambda _: None,
        {"tokenizer": replace(SMALL, vocab_size=10)},
        "data.tokenizer.vocab_size=10 is less than the number of characters of this corpus",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_reported_and_leaves_no_partial_folder(tmp_path: Path, mistake: str) -> None:
    spoiling, settings, said = MISTAKES[mistake]
    config = corpus(tmp_path, **settings)
    spoiling(root(config))
    assert said in refusal(config)
    assert folders(config) == []


def test_a_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = corpus(tmp_path, cache=str(tmp_path / "file" / "cache"))
    assert refusal(config).startswith(f"{tmp_path}/file/cache: Not a directory; set data.cache or $NMT_CACHE")


@pytest.mark.parametrize("shard_pairs", [30, 1_000_000])
def test_most_pairs_are_the_first_and_another_corpus(tmp_path: Path, shard_pairs: int) -> None:
    config = corpus(tmp_path, shard_pairs=shard_pairs, workers=1)
    few = prepare(replace(config, most_pairs=70))
    assert text_of(few, "train") == [(pair.en, pair.de) for pair in SPLITS["train"][:70]]
    assert text_of(few, "test") == text_of(prepare(config), "test")
    assert len(folders(config)) == 2
    assert len(prepare(replace(config, most_pairs=1000)).store("train")) == len(SPLITS["train"])


def test_a_file_that_changes_while_it_is_prepared_is_not_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, write_corpus = corpus(tmp_path), MODULE.write_corpus

    def change(*arguments: object) -> None:
        write_corpus(*arguments)
        lines = (root(config) / "train.en").read_text(encoding="utf-8").splitlines()
        write(root(config) / "train.en", [*lines[1:], lines[0]])

    monkeypatch.setattr(MODULE, "write_corpus", change)
    with pytest.raises(UserError, match="was changed while it was prepared"):
        prepare(config)
    monkeypatch.setattr(MODULE, "write_corpus", write_corpus)
    assert text_of(prepare(config), "train")[-1][0] == normalise(SPLITS["train"][0].en)
