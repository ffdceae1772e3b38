"""Shortlists: the choice by hand, and search over them against search over all pieces."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from toy_translator import EVERY_SEARCH, PAIRS, build, build_long, member

from nmt.config import Precision, SearchConfig, SearchKind
from nmt.data import BOS_ID, EOS_ID, Tokenizer, make_batch, normalise
from nmt.decoding import Candidate, ConstraintBuilder, Ensemble, TargetConstraints, Translator
from nmt.decoding.beam import BeamSelection
from nmt.decoding.phrases import Phrases
from nmt.decoding.sampling import SamplingSelection
from nmt.decoding.shortlist import Shortlist, reference_coverage
from nmt.errors import UserError
from nmt.models.int8 import exact_weight_levels

LINES = [pair.en for pair in PAIRS[:9]]


def by_hand() -> Shortlist:
    """Return tables of 8 source and 12 target pieces; the special tokens are 0 to 3."""
    translations, probabilities = np.zeros((8, 3), np.int32), np.zeros((8, 3), np.float32)
    translations[4], probabilities[4] = (7, 8, 9), (0.6, 0.3, 0.1)
    translations[5], probabilities[5] = (9, 10, 0), (0.5, 0.4, 0)
    copies = np.zeros(8, np.int32)
    copies[6] = 11
    frequent = np.array([4, 5, 6, 3, 7, 8, 9, 10, 11, 0, 1, 2], np.int32)
    return Shortlist(translations, probabilities, frequent, copies)


def random_tables(size: int, seed: int = 1) -> Shortlist:
    numbers = np.random.default_rng(seed)
    probabilities = -np.sort(-numbers.random((size, 5)), axis=1)
    return Shortlist(
        numbers.integers(EOS_ID + 1, size, (size, 5)).astype(np.int32),
        probabilities.astype(np.float32),
        numbers.permutation(size).astype(np.int32),
        np.zeros(size, np.int32),
    )


def with_shortlist(base: Translator, size: int, **search: object) -> Translator:
    config = replace(base.config, shortlist=size, **search)  # type: ignore[arg-type]
    return Translator(base.model, base.src, base.tgt, config, shortlist=random_tables(base.tgt.size))


def assert_same(found: list[list[Candidate]], expected: list[list[Candidate]], tolerance: float) -> None:
    assert [[c.pieces for c in line] for line in found] == [[c.pieces for c in line] for line in expected]
    for one, other in zip(chain(*found), chain(*expected), strict=True):
        assert one.text == other.text
        assert one.log_prob == pytest.approx(other.log_prob, abs=tolerance)
        assert one.score == pytest.approx(other.score, abs=tolerance)


@pytest.mark.parametrize(
    ("source", "size", "expected"),
    [
        ([4], 8, [0, 1, 2, 3, 4, 5, 6, 7]),  # special tokens, the frequent 4 5 6 (and 3), the best translation
        ([4, 5], 9, [0, 1, 2, 3, 4, 5, 6, 7, 9]),  # 9 is expected 0.6 times like 7, by 4 and 5 together
        ([4, 5], 11, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ([6], 8, [0, 1, 2, 3, 4, 5, 6, 11]),  # its copy
        ([7], 8, [0, 1, 2, 3, 4, 5, 6, 7]),  # without translations: frequent pieces
        ([4 + 8, 5 + 16], 9, [0, 1, 2, 3, 4, 5, 6, 7, 9]),  # with factors
        ([], 7, [0, 1, 2, 3, 4, 5, 6]),
        ([4], 100, list(range(12))),
    ],
)
def test_the_pieces_are_those_chosen_by_hand(source: list[int], size: int, expected: list[int]) -> None:
    assert by_hand().pieces(source, size).tolist() == expected


def test_required_pieces_are_added_beyond_the_size() -> None:
    assert by_hand().pieces([4], 8, [10, 4]).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 10]
    prefix = ({9: 1, 10: 2}, dict.fromkeys([*range(4, 12)], 2))
    required = set(by_hand().required(TargetConstraints(prefix, Phrases([[11, 8]])), 6))
    assert required == {8, 9, 10, 11} | set(range(4, 12))


def test_of_a_place_with_many_choices_the_most_frequent_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.decoding.shortlist.MOST_CHOICES", 2)
    assert list(by_hand().required(TargetConstraints(({11: 1, 9: 1, 8: 1},)), 2)) == [8, 9]


def test_coverage_counts_pieces_and_whole_sentences() -> None:
    covered = reference_coverage(by_hand(), [[4], [6], []], [[7, 10, 4], [11, 4], []], 8)
    assert covered.tokens == pytest.approx(4 / 5)
    assert covered.sentences == pytest.approx(2 / 3)


@EVERY_SEARCH
def test_a_shortlist_of_all_pieces_changes_nothing(tokenizer: Tokenizer, search: dict[str, object]) -> None:
    base = build(tokenizer, beam_size=4, **search)
    n_best = 1 if search["kind"] == SearchKind.greedy else 2
    base.set_n_best(n_best)
    assert_same(with_shortlist(base, tokenizer.size).translate(LINES), base.translate(LINES), 1e-6)


@pytest.mark.parametrize("kind", [SearchKind.sampling, SearchKind.mbr])
def test_a_shortlist_of_all_pieces_draws_the_same_samples(tokenizer: Tokenizer, kind: SearchKind) -> None:
    base = build(tokenizer, kind=kind, n_best=3, top_k=20, mbr_samples=4, mbr_candidates="both")
    assert_same(with_shortlist(base, tokenizer.size).translate(LINES), base.translate(LINES), 1e-5)


@pytest.mark.parametrize("size", [40, 90])
@EVERY_SEARCH
def test_a_batch_gives_the_same_as_single_sentences(tokenizer: Tokenizer, search: dict[str, object], size: int) -> None:
    short = with_shortlist(build(tokenizer, beam_size=4, **search), size)
    together = short.translate(LINES)
    assert len({line[0].text for line in together}) > 2
    assert_same(together, [short.translate([line])[0] for line in LINES], 1e-5)


@torch.inference_mode()
def test_only_pieces_of_the_shortlist_are_used_and_the_softmax_is_over_them(tokenizer: Tokenizer) -> None:
    short = with_shortlist(build(tokenizer), 40)
    assert short.shortlist is not None
    short.model.eval()
    changed = 0
    for line, (best,) in zip(LINES, short.translate(LINES), strict=True):
        source = tokenizer.encode([normalise(line)])[0]
        allowed = short.shortlist.pieces(source, 40)
        (tokens,) = best.pieces
        assert set(tokens) <= set(allowed.tolist())
        batch = make_batch([source], [tokens], [0])
        logits = short.model(batch.src, batch.src_mask, batch.tgt_in)[:, 0]  # type: ignore[operator]
        log_probs = logits[:, allowed.tolist()].log_softmax(dim=1)
        wanted = [allowed.tolist().index(token) for token in [*tokens, EOS_ID]]
        assert best.log_prob == pytest.approx(float(log_probs[range(len(wanted)), wanted].sum()), abs=1e-4)
        full = logits.log_softmax(dim=1)[range(len(wanted)), [*tokens, EOS_ID]].sum()
        changed += best.log_prob > float(full) + 0.01
    assert changed == len(LINES)


@pytest.mark.parametrize(
    ("selection", "search"),
    [(BeamSelection, {"n_best": 3}), (SamplingSelection, {"kind": SearchKind.sampling, "n_best": 3})],
)
def test_places_and_word_ids_select_the_same(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, selection: type, search: dict[str, object]
) -> None:
    short = with_shortlist(build(tokenizer), 50, **search)
    by_place = short.translate(LINES)
    monkeypatch.setattr(selection, "selects_places", False)
    monkeypatch.setattr("nmt.decoding.search.SearchRequest.selects_places", False)
    assert_same(by_place, short.translate(LINES), 1e-5)


def test_prefix_and_constraints_hold_although_their_pieces_are_not_candidates(tokenizer: Tokenizer) -> None:
    short = with_shortlist(build_long(tokenizer), 32)
    assert short.shortlist is not None
    builder = ConstraintBuilder(tokenizer)
    outside = 0
    constraints = []
    for line, pair in zip(LINES, PAIRS[20:], strict=False):
        words = pair.de.rstrip(".?!").split()
        constraints.append(builder.make(words[0], [words[-1]]))
        allowed = short.shortlist.pieces(tokenizer.encode([normalise(line)])[0], 32)
        outside += not set(tokenizer.encode([words[-1]])[0]) <= set(allowed.tolist())
    assert outside > len(LINES) / 2
    for pair, constraint, (best, *_) in zip(
        PAIRS[20:], constraints, short.translate(LINES, constraints=constraints), strict=False
    ):
        words = pair.de.rstrip(".?!").split()
        assert best.text.startswith(words[0]), constraint.where
        assert f" {words[-1]} " in f" {best.text} ".replace(".", " ").replace("?", " ").replace(",", " ")


def test_a_prefix_that_any_word_can_follow_is_continued(tokenizer: Tokenizer) -> None:
    short = with_shortlist(build_long(tokenizer), 32)
    word = PAIRS[30].de.split()[0]
    constraint = ConstraintBuilder(tokenizer).make(f"{word} ")
    (best,) = short.translate(LINES[:1], constraints=[constraint])[0]
    assert best.text.startswith(f"{word} ")
    assert len(best.text) > len(word) + 1


def test_members_of_an_ensemble_share_the_shortlist(tokenizer: Tokenizer) -> None:
    members = [member(seed, tokenizer.size) for seed in (1, 2)]
    config = SearchConfig(beam_size=3, max_length_ratio=0.0, max_length_offset=6, coverage_penalty=0.1)
    whole = Translator(Ensemble(members), tokenizer, tokenizer, config)
    assert_same(with_shortlist(whole, tokenizer.size).translate(LINES), whole.translate(LINES), 1e-5)
    twins = Translator(Ensemble([members[0], members[0]]), tokenizer, tokenizer, config)
    single = Translator(members[0], tokenizer, tokenizer, config)
    assert_same(with_shortlist(twins, 40).translate(LINES), with_shortlist(single, 40).translate(LINES), 1e-4)


def test_a_model_without_an_output_layer_is_refused(tokenizer: Tokenizer) -> None:
    class Opaque:
        def __init__(self, model: object) -> None:
            for name in ("training", "train", "eval", "encode", "step", "parameters"):
                setattr(self, name, getattr(model, name))

    base = build(tokenizer)
    base.model = Opaque(base.model)  # type: ignore[assignment]
    with pytest.raises(UserError, match=r"^search\.shortlist is set, and this model has no output layer to restrict"):
        with_shortlist(base, 40).translate(LINES[:1])


def test_without_tables_the_setting_has_no_effect_and_is_not_recorded(tokenizer: Tokenizer) -> None:
    base = build(tokenizer)
    other = Translator(base.model, base.src, base.tgt, replace(base.config, shortlist=40))
    assert other.config.shortlist is None
    assert other.translate(LINES) == base.translate(LINES)


@pytest.mark.skipif(exact_weight_levels() is None, reason="needs exact 8-bit products")
def test_in_int8_the_rows_are_rounded_as_in_the_whole_layer(tokenizer: Tokenizer) -> None:
    base = build(tokenizer, n_best=2)
    base.model.prepare_search(Precision.int8)
    assert base.model.search_output is not None  # type: ignore[attr-defined]
    assert_same(with_shortlist(base, tokenizer.size).translate(LINES), base.translate(LINES), 1e-6)
    short = with_shortlist(base, 40)
    assert_same(short.translate(LINES), [short.translate([line])[0] for line in LINES], 1e-5)


def test_special_tokens_stand_at_their_ids(tokenizer: Tokenizer) -> None:
    pieces = random_tables(tokenizer.size).pieces([4, 5], 32)
    assert pieces[: EOS_ID + 1].tolist() == list(range(EOS_ID + 1))
    assert pieces[BOS_ID] == BOS_ID
    assert len(pieces) == 32
