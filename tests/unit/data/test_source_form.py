"""Tags and factors of source lines: ids taken apart by hand, prepared corpora, and sampled segmentations."""

import json
import random
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

from nmt import phrasebook
from nmt.config import (
    BatchUnit,
    DataConfig,
    DirectionConfig,
    PhrasebookConfig,
    TextFiles,
    TokenizerConfig,
    TokenizerType,
)
from nmt.data import (
    UNK_ID,
    PairStore,
    SourceForm,
    SourceTokenizer,
    Tokenizer,
    TrainingBatches,
    build_sampling,
    load_tokenizer,
    prepare,
    temperature_shares,
    write_tokenizer,
)
from nmt.data.source_form import FactorCounts, case_of
from nmt.data.tokenizer import train_tokenizer
from nmt.errors import UserError

LINES = [side for pair in phrasebook.pairs(200, seed=1) for side in pair]
VALUES = {"case": ["lower", "title", "upper"], "pos": ["NN", "VB", "DT"]}
TAGS = ("<2de>", "<2en>")


@pytest.fixture(scope="module")
def base() -> Tokenizer:
    config = TokenizerConfig(vocab_size=200, user_symbols=list(TAGS))
    return Tokenizer(train_tokenizer([line.lower() + " |" for line in LINES], config))


@pytest.fixture(scope="module")
def both(base: Tokenizer) -> SourceTokenizer:
    """Tokenizer of lines with a tag, a computed factor and one in the text."""
    return SourceTokenizer(base, SourceForm(("case", "pos"), TAGS), VALUES, "<2de>")


def taken_apart(tokenizer: SourceTokenizer, ids: list[int]) -> list[tuple[str, int, int]]:
    """Return piece, case and part of speech of each id, by division."""
    pieces = tokenizer.base.pieces(i % tokenizer.size for i in ids)
    rest = [i // tokenizer.size for i in ids]
    cases, tags = len(VALUES["case"]) + 2, len(VALUES["pos"]) + 2
    assert all(code < cases * tags for code in rest)
    return [(piece, code % cases, code // cases) for piece, code in zip(pieces, rest, strict=True)]


def test_each_piece_has_the_factors_of_its_word(both: SourceTokenizer) -> None:
    [ids] = both.encode(["The|DT STATION|NN opens|VB"])
    expected = [("<2de>", 0, 0)]
    for word, case, pos in (("the", 3, 4), ("station", 4, 2), ("opens", 2, 3)):
        [pieces] = both.base.surfaces([word])
        expected += [(piece, case, pos) for piece in pieces]
    assert taken_apart(both, ids) == expected
    assert len(ids) > 4, "a word has several pieces"
    assert both.surfaces(["The|DT STATION|NN opens|VB"]) == [[piece for piece, _, _ in expected]]
    assert both.decode([ids[1:]]) == ["the station opens"]
    assert max(ids) < both.id_limit == both.size * 5 * 5


def test_the_pieces_are_those_of_the_line_without_factors(both: SourceTokenizer) -> None:
    generator = random.Random(1)
    for line in LINES[:100]:
        marked = " ".join(f"{word}|{generator.choice(VALUES['pos'])}" for word in line.split())
        [ids] = both.encode([marked])
        assert [i % both.size for i in ids[1:]] == both.base.encode([line.lower()])[0]
        assert both.plain(f"<2en> {marked}") == line


def test_values_that_training_did_not_see_are_unknown(both: SourceTokenizer) -> None:
    [ids] = both.encode(["McDonald|NNP"])
    assert {(case, pos) for _, case, pos in taken_apart(both, ids)[1:]} == {(1, 1)}


@pytest.mark.parametrize(
    ("word", "case"),
    [
        ("the", "lower"), ("The", "title"), ("I", "title"), ("USA", "upper"), ("iPhone", "mixed"),
        ("McDonald", "mixed"), ("42", "none"), ("東京", "none"), ("(The)", "title"), ("Ǆ", "title"), ("don't", "lower"),
    ],
)  # fmt: skip
def test_case(word: str, case: str) -> None:
    assert case_of(word) == case


def test_a_line_keeps_its_own_tag(both: SourceTokenizer) -> None:
    line = "the|DT"
    tags = {tag: both.base.pieces([both.encode([f"{tag} {line}".strip()])[0][0]]) for tag in ("", *TAGS)}
    assert tags == {"": ["<2de>"], "<2de>": ["<2de>"], "<2en>": ["<2en>"]}
    assert both.with_target("en").encode([line]) == both.encode([f"<2en> {line}"])
    assert both.encode(["", "<2en>", "<2en>  "]) == [[], [], []]
    with pytest.raises(UserError, match="tgt_lang=fr is not a target language of this run; allowed: de, en"):
        both.with_target("fr")
    with pytest.raises(UserError, match=r"needs a run with data\.directions"):
        both.base.with_target("de")


@pytest.mark.parametrize("word", ["dog", "|NN", "dog|", "▁|NN", "|"])
def test_a_word_without_its_factors_is_refused(both: SourceTokenizer, word: str) -> None:
    with pytest.raises(UserError, match=r"FILE, line 3: word 2, .* does not have the form word\|POS"):
        both.check(f"<2en> the|DT {word}", "FILE, line 3")
    with pytest.raises(UserError, match=r"word 2, .* does not have the form word\|POS"):
        both.encode([f"the|DT {word}"])


def test_a_word_may_contain_the_separator(both: SourceTokenizer) -> None:
    assert both.plain("a|b|NN ||NN") == "a|b |"


def test_too_many_combinations_are_refused(base: Tokenizer) -> None:
    values = {name: [str(i) for i in range(5000)] for name in ("a", "b")}
    with pytest.raises(UserError, match=r"200 pieces with 5,002 times 5,002 factor values .*data\.factor_values"):
        SourceTokenizer(base, SourceForm(("a", "b")), values)


def test_the_form_is_stored_beside_the_model(both: SourceTokenizer, tmp_path: Path) -> None:
    assert [path.name for path in write_tokenizer(tmp_path, "src", both)] == ["src.model", "src.form.json"]
    loaded = load_tokenizer(tmp_path, "src")
    line = "<2en> The|DT dog|NN"
    assert loaded.identity == both.identity
    assert loaded.encode([line]) == both.encode([line])
    (tmp_path / "src.form.json").write_text('{"factors": {"case": 1}}')
    with pytest.raises(UserError, match="is damaged"):
        load_tokenizer(tmp_path, "src")


def test_the_most_frequent_values_are_known() -> None:
    counts = FactorCounts(SourceForm(("pos",)))
    for line in ("a|A b|B a|A", "c|C b|B a|A"):
        counts.add(line)
    counts.merge({"pos": {"D": 5, "C": 1}})
    assert counts.most_frequent(3) == {"pos": ["D", "A", "B"]}


def annotated(folder: Path, factors: list[str], **settings: object) -> DataConfig:
    """Write a corpus whose source words have their length as a factor, if `length` is one."""
    for split, pairs in phrasebook.splits(train=120, valid=20, test=20, seed=3, depth=1).items():
        sides = [(pair.en, pair.de) for pair in pairs]
        if "length" in factors:
            sides = [(" ".join(f"{word}|{len(word)}" for word in src.split()), tgt) for src, tgt in sides]
        for at, language in enumerate(("en", "de")):
            (folder / f"{split}.{language}").write_text("".join(f"{pair[at]}\n" for pair in sides), encoding="utf-8")
    names = {split: TextFiles(src=[f"{split}.en"], tgt=[f"{split}.de"]) for split in ("train", "valid", "test")}
    tokenizer = TokenizerConfig(type=TokenizerType.bpe, vocab_size=150)
    return DataConfig(
        root=str(folder), factors=factors, tokenizer=tokenizer, cache=str(folder / "cache"), **names, **settings
    )


@pytest.mark.parametrize("shard_pairs", [250_000, 17])
def test_a_corpus_with_factors_is_prepared(tmp_path: Path, shard_pairs: int) -> None:
    plain = prepare(annotated(tmp_path, []))
    config = annotated(tmp_path, ["length"], shard_pairs=shard_pairs)
    prepared = prepare(config)
    tokenizer = prepared.tokenizer("src")
    assert isinstance(tokenizer, SourceTokenizer)
    assert tokenizer.model == plain.tokenizer("src").model, "the vocabulary is that of the text without factors"
    store, expected = prepared.store("train"), plain.store("train")
    assert len(store) == len(expected)
    values = tokenizer.values["length"]
    for i in range(len(store)):
        ids = store.src[i].tolist()
        assert [piece % tokenizer.size for piece in ids] == expected.src[i].tolist()
        words = tokenizer.decode([ids])[0].split()
        starts = [piece.startswith("▁") for piece in tokenizer.pieces(ids)]
        of_words = [ids[at] // tokenizer.size for at, start in enumerate(starts) if start]
        assert [values[code - 2] for code in of_words] == [str(len(word)) for word in words]
    report = [json.loads((folder / "report.json").read_text()) for folder in (prepared.folder, plain.folder)]
    assert report[0]["mean_characters"] == report[1]["mean_characters"], "lengths are those of the words"


def test_a_line_without_factors_is_named(tmp_path: Path) -> None:
    config = annotated(tmp_path, ["length"], shard_pairs=30)
    lines = (tmp_path / "train.en").read_text().split("\n")
    lines[70] = lines[70].replace("|", "/")
    (tmp_path / "train.en").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"train\.en, line 71: word 1, .*word\|LENGTH"):
        prepare(config)


def test_settings_of_the_form_are_part_of_the_cache_key(tmp_path: Path) -> None:
    folders = {
        prepare(annotated(tmp_path, factors, **settings)).folder
        for factors, settings in (([], {}), (["case"], {}), (["case"], {"factor_values": 2}))
    }
    assert len(folders) == 3


def multilingual(folder: Path, **settings: object) -> DataConfig:
    return DataConfig(
        phrasebook=PhrasebookConfig(train=150, valid=20, test=20),
        directions=[DirectionConfig("de", "en")],
        tokenizer=TokenizerConfig(vocab_size=200),
        cache=str(folder / "cache"),
        **settings,
    )


def test_a_multilingual_corpus_has_every_pair_in_both_directions(tmp_path: Path) -> None:
    config = multilingual(tmp_path, shard_pairs=40)
    one_way = prepare(replace(config, directions=[])).store("train")
    prepared = prepare(config)
    src, tgt, store = prepared.tokenizer("src"), prepared.tokenizer("tgt"), prepared.store("train")
    pairs = [
        (src.decode([store.src[i].tolist()[1:]])[0], tgt.decode([store.tgt[i].tolist()])[0]) for i in range(len(store))
    ]
    tags = src.pieces(int(store.src[i][0]) for i in range(len(store)))
    assert tags == ["<2de>"] * len(one_way) + ["<2en>"] * len(one_way)
    forward, backward = pairs[: len(one_way)], pairs[len(one_way) :]
    assert sorted(forward) == sorted((src, tgt) for tgt, src in backward)
    assert prepared.direction_ranges() == [
        [range(i, min(i + 40, len(one_way))) for i in range(0, len(one_way), 40)],
        [range(len(one_way) + i, len(one_way) + min(i + 40, len(one_way))) for i in range(0, len(one_way), 40)],
    ]
    held_out = prepared.text("valid").with_suffix(".src").read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in held_out] == ["<2de>", "<2en>"] * 20, "the directions take turns"


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0, 1000.0])
def test_an_epoch_has_the_share_of_each_direction(temperature: float) -> None:
    sizes = [40, 10, 250]
    starts = [0, 40, 50]
    groups = [[range(start, start + size // 2), range(start + size // 2, start + size)]
              for start, size in zip(starts, sizes, strict=True)]  # fmt: skip
    store = PairStore.of([[5]] * 300, [[6]] * 300)
    shares = temperature_shares(groups, temperature)
    batches = TrainingBatches(store, BatchUnit.sentences, 7, 3, seed=1, shares=shares)
    drawn = []
    while not batches.epoch:
        drawn += batches.next().indices
    of_first = drawn[: sum(count for _, count in shares)]
    total = sum(size ** (1 / temperature) for size in sizes)
    for start, size in zip(starts, sizes, strict=True):
        counts = [of_first.count(i) for i in range(start, start + size)]
        assert sum(counts) == pytest.approx(300 * size ** (1 / temperature) / total, abs=0.5)
        assert max(counts) - min(counts) <= 1, "the pairs of a direction are drawn equally often"
    if temperature == 1:
        assert sorted(of_first) == list(range(300))


@pytest.mark.parametrize("kind", [TokenizerType.unigram, TokenizerType.bpe])
def test_sampled_pieces_keep_the_factors_of_their_word(base: Tokenizer, kind: TokenizerType) -> None:
    config = TokenizerConfig(type=kind, vocab_size=200, user_symbols=list(TAGS))
    words = Tokenizer(train_tokenizer([line.lower() for line in LINES], config))
    tokenizer = SourceTokenizer(words, SourceForm(("pos",), TAGS), {"pos": ["NN", "VB", "DT"]}, "<2de>")
    generator = random.Random(2)
    texts = LINES[:40]
    marked = [
        " ".join(f"{word.lower()}|{generator.choice(['NN', 'VB', 'DT'])}" for word in line.split()) for line in texts
    ]
    ids = tokenizer.encode(marked)
    store = PairStore.of(ids, words.encode([line.lower() for line in texts]))
    strength = 0.1 if kind == TokenizerType.unigram else 0.5
    sampling = build_sampling(store, (tokenizer, words), strength, seed=1)
    changed = 0
    for i, original in enumerate(ids):
        sampled, _ = sampling.pair(0, i)
        changed += sampled != original
        spelt = [
            [(code, "".join(tokenizer.pieces(run))) for code, run in groupby(line, key=lambda j: j // tokenizer.size)]
            for line in (original, sampled)
        ]
        assert spelt[0] == spelt[1]
    assert changed > len(ids) / 2


def test_unknown_pieces_are_counted_without_their_factors(base: Tokenizer) -> None:
    tokenizer = SourceTokenizer(base, SourceForm(("case",)), {"case": ["lower", "none"]})
    store = PairStore.of(tokenizer.encode(["the 東 station", "京"]), [[5], [6]])
    counts = store.src.piece_counts(tokenizer.size)
    unknown, total = counts[UNK_ID], counts.sum()
    assert unknown == 2
    assert total == sum(map(len, base.encode(["the 東 station", "京"])))
