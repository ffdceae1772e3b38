"""Minimum Bayes risk compared with its definition pair by pair, and lines translated by it and by sampling."""

import math
import random

import numpy as np
import pytest
import sacrebleu
from toy_search import Toy, config, request
from toy_translator import STRANGE, build, members

from nmt.config import MbrCandidates, MbrReferences, SearchConfig, SearchKind, SentenceMetric
from nmt.config.checks import problems_in
from nmt.data import Tokenizer, normalise
from nmt.decoding import Candidate, Ensemble, Hypothesis, Translator, beam_search, sample
from nmt.decoding.mbr import TextUtility, minimum_risk, rank_by_utility
from nmt.metrics import pairwise
from nmt.phrasebook import Pair

KINDS = pytest.mark.parametrize(
    "search",
    [
        {"kind": SearchKind.sampling, "n_best": 3},
        {"kind": SearchKind.sampling, "n_best": 2, "temperature": 0.5, "top_k": 30, "top_p": 0.9},
        {"kind": SearchKind.mbr, "mbr_candidates": "both", "mbr_references": "samples", "mbr_samples": 8},
        {"kind": SearchKind.mbr, "mbr_candidates": "beam", "mbr_references": "beam", "mbr_utility": "bleu"},
    ],
    ids=["sampling", "narrowed sampling", "mbr of both", "mbr of a beam"],
)
TEXTS = {4: "ein Haus,", 5: "ein Haus,", 6: "kein rotes"}


def text_of(tokens: list[int]) -> str:
    """Return the text of tokens; two tokens have the same text."""
    return " ".join(TEXTS[token] for token in tokens)


def utility(one: str, other: str, metric: SentenceMetric) -> float:
    scorer = sacrebleu.CHRF() if metric == "chrf" else sacrebleu.BLEU(tokenize="13a", effective_order=True)
    return float(scorer.sentence_score(one, [other]).score)


@pytest.mark.parametrize("candidates", list(MbrCandidates))
@pytest.mark.parametrize("references", list(MbrReferences))
@pytest.mark.parametrize(("metric", "alpha"), [("chrf", 1.0), ("bleu", 0.3)])
def test_the_score_is_the_expected_utility_and_the_best_comes_first(
    candidates: MbrCandidates, references: MbrReferences, metric: SentenceMetric, alpha: float
) -> None:
    """Compare a sample with all other samples, pair by pair, and a candidate of the beam with all samples."""
    toy, sentences, sources, most = Toy(2, end=-0.5), [1, 2, 3], [[1], [2], [3]], [4, 6, 3]
    settings = {"mbr_candidates": candidates, "mbr_references": references, "mbr_utility": metric}
    search = SearchConfig(kind=SearchKind.mbr, beam_size=4, n_best=4, mbr_samples=30, mbr_alpha=alpha, **settings)
    compared = TextUtility(text_of, lambda texts: pairwise(texts, metric, "13a"))
    hypotheses = minimum_risk(request(toy, sentences, most, search), sources, compared)
    drawn = sample(request(toy, sentences, most, search), sources, 30)
    searched = beam_search(request(toy, sentences, most, config(beam=4, n_best=4)))
    for best, samples, beam in zip(hypotheses, drawn, searched, strict=True):
        expected: dict[str, float] = {}
        likeliest: dict[str, float] = {}
        for which, one in [*((None, one) for one in beam), *enumerate(samples)]:
            if candidates == (MbrCandidates.samples if which is None else MbrCandidates.beam):
                continue
            text = text_of(one.tokens)
            likeliest[text] = max(likeliest.get(text, -math.inf), one.log_prob)
            if references == "samples":
                others = [text_of(other.tokens) for at, other in enumerate(samples) if at != which]
                value = sum(utility(text, other, metric) for other in others) / len(others)
            else:
                whole = sum(math.exp(alpha * other.log_prob) for other in beam)
                weighted = [(text_of(other.tokens), math.exp(alpha * other.log_prob) / whole) for other in beam]
                value = sum(weight * utility(text, other, metric) for other, weight in weighted)
            expected.setdefault(text, value)  # the beam comes first
        assert [one.score for one in best] == pytest.approx(sorted(expected.values(), reverse=True)[:4], abs=1e-4)
        for one in best:
            assert expected[text_of(one.tokens)] == pytest.approx(one.score, abs=1e-4)
            assert one.log_prob == likeliest[text_of(one.tokens)]


def test_a_sample_gets_nothing_for_being_equal_to_itself() -> None:
    """Rank samples without common words: their utility is 0, not 100 / 3."""
    words = {4: "a b c", 5: "x y z", 6: "a y", 7: "q"}
    text = lambda tokens: " ".join(words[token] for token in tokens)  # noqa: E731
    overlap = lambda texts: np.array(  # noqa: E731
        [[100.0 if a == b else 10.0 * len(set(a.split()) & set(b.split())) for b in texts] for a in texts]
    )
    samples = [Hypothesis([token], -1.0, 0.0) for token in (4, 5, 7)]
    beam = [Hypothesis([6], -2.0, 0.0)]
    own = {text(sample.tokens) for sample in samples}
    ranked = rank_by_utility(beam + samples, samples, [1 / 3] * 3, TextUtility(text, overlap), own)
    assert [(one.tokens, round(one.score, 6)) for one in ranked] == [([6], 6.666667), ([4], 0), ([5], 0), ([7], 0)]
    alone = rank_by_utility(samples[:1], samples[:1], [1.0], TextUtility(text, overlap), {"a b c"})
    assert [one.score for one in alone] == [0.0]


def test_the_likelier_of_two_that_are_worth_the_same_is_first() -> None:
    worthless = [Hypothesis([token], log_prob, 0.0) for token, log_prob in ((4, -3.0), (6, -1.0), (5, -2.0))]
    zero = TextUtility(text_of, lambda texts: np.zeros((len(texts), len(texts))))
    ranked = rank_by_utility(worthless, worthless, [0.2, 0.3, 0.5], zero)
    assert [(one.tokens, one.log_prob, one.score) for one in ranked] == [([6], -1.0, 0.0), ([5], -2.0, 0.0)]
    assert rank_by_utility([], [], [], zero) == []


def texts(found: list[list[Candidate]]) -> list[list[str]]:
    return [[candidate.text for candidate in candidates] for candidates in found]


@KINDS
def test_every_line_has_the_result_that_it_has_alone(tokenizer: Tokenizer, search: dict[str, object]) -> None:
    ready = build(tokenizer, **search)
    lines = list(STRANGE.values())
    translations = texts(ready.translate(lines))
    for line, candidates in zip(lines, translations, strict=True):
        assert len(candidates) == (ready.config.n_best if normalise(line) else 1)
        assert bool("".join(candidates)) <= bool(normalise(line))
    order = random.Random(1).sample(range(len(lines)), len(lines))
    shuffled = texts(build(tokenizer, **search, batch_size=1).translate([lines[i] for i in order]))
    assert [translations[i] for i in order] == shuffled
    assert len({candidates[0] for candidates in translations}) > len(lines) / 2


@KINDS
def test_the_parts_of_a_long_line_are_translated_each(
    tokenizer: Tokenizer, phrases: list[Pair], search: dict[str, object]
) -> None:
    ready = build(tokenizer, **search, max_source_pieces=24)
    line = " ".join(pair.en for pair in phrases[:8])
    parts = tokenizer.decode([part.ids for part in ready.parts([line])[0]])
    alone = ready.translate(parts)
    assert len(parts) > 6
    for rank, whole in enumerate(ready.translate([line])[0]):
        assert whole.text.split() == " ".join(candidates[rank].text for candidates in alone).split()
        assert whole.score == pytest.approx(sum(c[rank].score for c in alone) / len(parts), rel=1e-4)


@KINDS
def test_an_ensemble_of_twins_finds_what_one_finds(
    tokenizer: Tokenizer, phrases: list[Pair], search: dict[str, object]
) -> None:
    lines = [pair.en for pair in phrases[:4]]
    alone = build(tokenizer, **search)
    twins = Translator(Ensemble([alone.model, alone.model]), tokenizer, tokenizer, alone.config)
    assert texts(twins.translate(lines)) == texts(alone.translate(lines))


@KINDS
def test_members_of_any_architecture_decode_together(
    tokenizer: Tokenizer, phrases: list[Pair], search: dict[str, object]
) -> None:
    short = SearchConfig(**{"beam_size": 3, "max_length_ratio": 0.0, "max_length_offset": 5, **search})
    ready = Translator(Ensemble(members(tokenizer.size)), tokenizer, tokenizer, short)
    lines = [pair.en for pair in phrases[:4]]
    assert texts(ready.translate(lines)) == [texts(ready.translate([line]))[0] for line in lines]


def test_more_are_returned_only_where_there_are_more(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    ready = build(tokenizer, kind=SearchKind.mbr, mbr_candidates="both", mbr_samples=5, n_best=8)
    for candidates in ready.translate([pair.en for pair in phrases[:5]]):
        assert 1 < len(candidates) <= 8
        assert len({candidate.text for candidate in candidates}) == len(candidates)
        scores = [candidate.score for candidate in candidates]
        assert scores == sorted(scores, reverse=True)


def test_bleu_goes_by_the_words_of_the_tokenizer_that_it_is_given(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    asked: dict[str, object] = {"mbr_candidates": "beam", "mbr_references": "beam", "mbr_utility": "bleu"}
    plain = build(tokenizer, kind=SearchKind.mbr, **asked)
    by_letter = Translator(
        plain.model, tokenizer, tokenizer, plain.config, lambda texts: pairwise(texts, "bleu", "char")
    )
    line = [phrases[0].en]
    assert plain.translate(line)[0][0].score != by_letter.translate(line)[0][0].score


@pytest.mark.parametrize(
    ("search", "problem"),
    [
        ({"kind": "sampling", "n_best": 1000}, None),
        ({"kind": "sampling", "n_best": 1001}, "n_best"),
        ({"kind": "sampling", "temperature": 0.0}, "temperature"),
        ({"kind": "sampling", "top_k": 0}, "top_k"),
        ({"kind": "sampling", "top_p": 0.0}, "top_p"),
        ({"kind": "sampling", "top_p": 1.1}, "top_p"),
        ({"kind": "sampling", "seed": -1}, "seed"),
        ({"kind": "mbr", "mbr_samples": 0}, "mbr_samples"),
        ({"kind": "mbr", "mbr_alpha": -1.0}, "mbr_alpha"),
        ({"kind": "mbr", "mbr_candidates": "both", "mbr_samples": 20, "n_best": 25}, None),
        ({"kind": "mbr", "mbr_candidates": "both", "mbr_samples": 20, "n_best": 26}, "n_best"),
        ({"kind": "mbr", "mbr_candidates": "beam", "n_best": 5}, None),
        ({"kind": "mbr", "mbr_candidates": "beam", "n_best": 6}, "n_best"),
        ({"kind": "mbr", "mbr_candidates": "samples", "mbr_samples": 4, "n_best": 5}, "n_best"),
    ],
)
def test_what_cannot_be_is_refused(search: dict[str, object], problem: str | None) -> None:
    problems = list(problems_in(SearchConfig(**search)))
    assert len(problems) == (problem is not None)
    assert problem is None or problems[0].startswith(f"{problem} is ")
