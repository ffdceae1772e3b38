"""The search in numpy finds what the search on tensors finds, for the same numbers."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import toy_search
from exported import GraphModel, export
from toy_search import SYMBOLS, Toy, assert_same
from toy_translator import PAIRS, build_long

from nmt.config import LengthPenalty, SearchKind
from nmt.data import Tokenizer
from nmt.decoding import ConstraintBuilder, Translator, align_words
from nmt.documents.inline import InlineCounts, InlineTag, Segment, translate_segments
from nmt.documents.plain import plain_translation
from nmt.errors import UserError
from nmt.export import ExportedTranslator
from nmt.export.beam_search import Array, ArrayBatch, BeamSearch
from nmt.export.sessions import ArrayState, StepResult
from nmt.export.settings import StateTensor

LINES = [pair.en for pair in PAIRS[:12]] + [""]
CODES = (StateTensor("codes", True, 0),)


class ArrayToy:
    """The toy model on arrays."""

    def __init__(self, toy: Toy, sentences: list[int]) -> None:
        self.toy, self.sentences = toy, sentences

    def encode(self, src: Array, mask: Array) -> ArrayState:
        count = len(self.sentences)
        return ArrayState({"codes": np.array(self.sentences)}, CODES, count, count)

    def step(self, tokens: Array, state: ArrayState, with_attention: bool = False) -> StepResult:
        codes = (state.tensors["codes"] * toy_search.VOCABULARY + tokens) % toy_search.TABLE_SIZE
        log_probs = self.toy.table.numpy()[codes].astype(np.float32)
        return StepResult(log_probs, ArrayState({"codes": codes}, CODES, state.sentences, len(codes)), None)


@pytest.mark.parametrize(
    ("beam", "n_best", "penalty", "alpha"),
    [(1, 1, "average", 1.0), (2, 2, "none", 1.0), (3, 1, "gnmt", 0.7), (5, 5, "average", 0.6), (8, 3, "average", 2.0)],
)
def test_hypotheses_equal_those_of_the_search_on_tensors(beam: int, n_best: int, penalty: str, alpha: float) -> None:
    config = toy_search.config(beam, n_best, LengthPenalty(penalty), alpha)
    for seed, end in itertools.product(range(6), (0.0, 2.0)):
        toy, sentences, most = Toy(seed, end), [seed, 40 + seed, 80, 7], [6, 1, 9, 3]
        mask = np.ones((1, 4), dtype=bool)
        found = BeamSearch(ArrayToy(toy, sentences), ArrayBatch(mask, mask, np.array(most)), SYMBOLS, config).run()
        for ours, theirs in zip(found, toy_search.run(toy, sentences, most, config), strict=True):
            assert_same(ours, theirs)


@pytest.fixture(scope="module")
def pair(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> tuple[ExportedTranslator, Translator]:
    """Return a translator of an export and one on tensors with the same graphs."""
    folder = export(build_long(tokenizer), tmp_path_factory.mktemp("export") / "toy")
    exported = ExportedTranslator(folder)
    return exported, Translator(GraphModel(exported.model), exported.src, exported.tgt, exported.config)


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": SearchKind.greedy},
        {"beam_size": 4, "n_best": 3},
        {"beam_size": 3, "length_penalty": LengthPenalty.gnmt, "alpha": 0.6, "batch_size": 2},
        {"beam_size": 4, "n_best": 4, "coverage_penalty": 0.3, "min_length": 5},
    ],
    ids=["greedy", "n best", "small batches", "coverage"],
)
def test_translations_equal_those_of_the_search_on_tensors(
    pair: tuple[ExportedTranslator, Translator], settings: dict[str, object]
) -> None:
    exported, tensors = pair
    short = {"max_length_ratio": 0.4, "max_length_offset": 8}
    for translator in pair:
        translator.config = type(translator.config)(**{**short, **settings})
    constraints = [ConstraintBuilder(exported.tgt).make("Der" if i % 2 else "") for i in range(len(LINES))]
    for given in (None, constraints):
        ours, theirs = exported.translate(LINES, constraints=given), tensors.translate(LINES, constraints=given)
        assert [[c.text for c in line] for line in ours] == [[c.text for c in line] for line in theirs]
        scores = [[c.score for line in found for c in line] for found in (ours, theirs)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    if exported.config.n_best == 1:
        assert all(line[0].text.startswith("Der") for line in ours[1:-1:2])


def test_words_are_aligned_as_with_the_run(tokenizer: Tokenizer, tmp_path: Path) -> None:
    translator = build_long(tokenizer)
    exported = ExportedTranslator(export(translator, tmp_path / "toy"), search=translator.config)
    candidates = translator.translate(LINES)
    ids = [tokenizer.encode([line])[0] for line in LINES]
    ours, theirs = exported.piece_attention(ids, ids[::-1]), translator.piece_attention(ids, ids[::-1])
    assert ours is not None
    assert theirs is not None
    assert exported.attends
    assert ours.shape == theirs.shape
    for number, target in enumerate(ids[::-1]):  # behind the target the rows have no meaning
        assert ours[number, : len(target) + 1] == pytest.approx(theirs[number, : len(target) + 1], abs=1e-5)
    assert align_words(exported, LINES, candidates) == align_words(translator, LINES, candidates)
    segments = [Segment(line, (InlineTag(0, len(line.split()[0]), "<b>", "</b>"),)) for line in LINES if line]
    results = [translate_segments(plain_translation(each), segments) for each in (exported, translator)]
    assert results[0] == results[1]
    counts = InlineCounts()
    folder = export(build_long(tokenizer, attention=None), tmp_path / "without")
    without = ExportedTranslator(folder, search=translator.config)
    translate_segments(plain_translation(without), segments, counts=counts)
    assert not without.attends
    assert counts.without_attention > 0


def test_threads_do_not_change_translations(pair: tuple[ExportedTranslator, Translator]) -> None:
    exported = pair[0]
    exported.config = type(exported.config)(beam_size=2, max_length_ratio=0.4, batch_size=3)
    one = exported.translate(LINES)
    exported.threads = 3
    assert exported.translate(LINES) == one
    exported.threads = 1


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"kind": SearchKind.sampling}, "search.kind=sampling"),
        ({"kind": SearchKind.mbr}, "search.kind=mbr"),
        ({"block_ngrams": 2}, "search.block_ngrams"),
        ({"replace_unknown": "copy"}, "search.replace_unknown"),
    ],
)
def test_other_searches_are_refused_by_name(
    pair: tuple[ExportedTranslator, Translator], settings: dict[str, object], name: str
) -> None:
    exported = pair[0]
    exported.config = type(exported.config)(**settings)
    with pytest.raises(UserError, match=f"does not support {name}"):
        exported.translate(["a line"])


def test_phrases_are_refused(pair: tuple[ExportedTranslator, Translator]) -> None:
    exported = pair[0]
    exported.config = type(exported.config)()
    constraint = ConstraintBuilder(exported.tgt).make("", ["Haus"])
    with pytest.raises(UserError, match="does not support constraints"):
        exported.translate(["the house"], constraints=[constraint])


def test_an_export_has_files_with_checksums(pair: tuple[ExportedTranslator, Translator]) -> None:
    path: Path = pair[0].folder.path
    assert sorted(file.name for file in path.iterdir()) == [
        *("README.md", "SHA256SUMS", "decoder.onnx", "encoder.onnx", "settings.json", "src.model", "tgt.model"),
    ]
