"""Translation of lines: one result for each line with any content, independent of the other lines."""

import itertools
import logging
import random

import pytest
import torch
from toy_translator import PAIRS, STRANGE, build

from nmt.config import AttentionKind, SearchConfig, SearchKind, TokenizerConfig
from nmt.data import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizer, make_batch, normalise
from nmt.data.tokenizer import train_tokenizer
from nmt.decoding import Candidate, Hypothesis, Translator
from nmt.decoding.parts import cut_sentence
from nmt.decoding.strategies import SearchBatch


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    lines = [side for pair in PAIRS for side in pair]
    return Tokenizer(train_tokenizer(lines, TokenizerConfig(vocab_size=300)))


def texts(found: list[list[Candidate]]) -> list[str]:
    return [candidates[0].text for candidates in found]


@pytest.mark.parametrize("n_best", [1, 3])
def test_every_line_has_its_result_in_its_place(tokenizer: Tokenizer, n_best: int) -> None:
    ready = build(tokenizer, n_best=n_best)
    translations = ready.translate(list(STRANGE.values()))
    assert len(translations) == len(STRANGE)
    for (name, line), candidates in zip(STRANGE.items(), translations, strict=True):
        alone = ready.translate([line])[0]
        assert [c.text for c in candidates] == [c.text for c in alone], name
        blank = not normalise(line)
        assert len(candidates) == (1 if blank else n_best), name
        assert not blank or candidates == [Candidate("", 0.0, 0.0)]
    assert len(set(texts(translations))) > len(STRANGE) / 2  # the model distinguishes lines


def test_no_lines_give_no_results(tokenizer: Tokenizer) -> None:
    assert build(tokenizer).translate([]) == []
    assert build(tokenizer).translate(["", " "]) == [[Candidate("", 0.0, 0.0)]] * 2


def test_results_depend_neither_on_the_batch_size_nor_on_the_order(tokenizer: Tokenizer) -> None:
    lines = [pair.en for pair in PAIRS[:12]] + ["", PAIRS[3].en]
    expected = build(tokenizer, batch_size=1, n_best=2).translate(lines)
    assert len(set(texts(expected))) > 6
    for batch_size in (2, 5, 64):
        order = random.Random(batch_size).sample(range(len(lines)), len(lines))
        translations = build(tokenizer, batch_size=batch_size, n_best=2).translate([lines[i] for i in order])
        for place, i in enumerate(order):
            assert [c.text for c in translations[place]] == [c.text for c in expected[i]]
            for one, other in zip(translations[place], expected[i], strict=True):
                assert one.score == pytest.approx(other.score, abs=1e-4)
                assert one.log_prob == pytest.approx(other.log_prob, abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"n_best": 2}, ["door", "house"]),
        ({"n_best": 3}, ["door", "house", ""]),
        ({"n_best": 5}, ["door", "house", ""]),
        ({"kind": SearchKind.diverse, "groups": 5, "n_best": 2}, ["door", "house"]),
        ({"kind": SearchKind.sampling, "n_best": 3}, ["door", "door", "house"]),
    ],
)
def test_a_text_that_several_hypotheses_write_is_given_once(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], expected: list[str]
) -> None:
    """The search finds `door` in two segmentations, `house`, and the empty text with and without a blank piece."""
    pieces = tokenizer.pieces(range(tokenizer.size))
    blank = pieces.index("▁")
    (door,), (house,) = tokenizer.encode(["door"]), tokenizer.encode(["house"])
    finished = [door, [*door, blank], house, [], [blank]]

    def run_search(model: object, batch: SearchBatch, symbols: object, config: SearchConfig, _: object) -> object:
        hypotheses = [Hypothesis(tokens, -float(rank), -float(rank)) for rank, tokens in enumerate(finished)]
        return [hypotheses[: config.n_best] for _ in batch.sources]

    monkeypatch.setattr("nmt.decoding.translator.run_search", run_search)
    for line in build(tokenizer, beam_size=5, **settings).translate([PAIRS[0].en, PAIRS[1].en]):
        assert [candidate.text for candidate in line] == expected
        assert [candidate.score for candidate in line] == sorted((c.score for c in line), reverse=True)


def test_the_first_of_the_n_best_are_those_of_a_longer_list(tokenizer: Tokenizer) -> None:
    lines = [pair.en for pair in PAIRS[:20]]
    longest = build(tokenizer, beam_size=5, n_best=5).translate(lines)
    for n_best in (1, 2, 4):
        for few, many in zip(build(tokenizer, beam_size=5, n_best=n_best).translate(lines), longest, strict=True):
            assert [c.text for c in few] == [c.text for c in many[:n_best]]
            assert len({c.text for c in many}) == len(many)


def test_a_line_of_ten_thousand_words_is_one_line(tokenizer: Tokenizer, caplog: pytest.LogCaptureFixture) -> None:
    words = " ".join(pair.en for pair in PAIRS).split()
    long = " ".join((words * 10)[:10_000])
    fast = build(tokenizer, beam_size=1, max_length_offset=2)
    done: list[int] = []
    with caplog.at_level(logging.WARNING):
        before, result, after = texts(fast.translate([PAIRS[0].en, long, PAIRS[1].en], done.append))
    pieces = len(tokenizer.encode([long])[0])
    assert f"line 2: its {pieces} pieces are translated in {sum(done) - 2} parts" in caplog.text
    assert sum(done) - 2 >= pieces / fast.config.max_source_pieces
    assert [before, after] == texts(fast.translate([PAIRS[0].en, PAIRS[1].en]))
    assert "\n" not in result


def test_the_parts_of_a_long_line_are_translated_in_order(
    tokenizer: Tokenizer,
) -> None:
    short = build(tokenizer, n_best=2, max_source_pieces=24)
    line = " ".join(pair.en for pair in PAIRS[:8])
    parts = tokenizer.decode([part.ids for part in short.parts([line])[0]])
    assert len(parts) > 6
    assert " ".join(parts) == line
    alone = short.translate(parts)
    for rank, whole in enumerate(short.translate([line])[0]):
        assert whole.text.split() == " ".join(candidates[rank].text for candidates in alone).split()
        assert whole.log_prob == pytest.approx(sum(candidates[rank].log_prob for candidates in alone), rel=1e-4)
        assert whole.score == pytest.approx(sum(c[rank].score for c in alone) / len(parts), rel=1e-4)


def test_a_sentence_is_cut_behind_commas_or_before_words() -> None:
    numbers = random.Random(4)
    for _ in range(300):
        pieces = numbers.choices(["▁a", "b", ",", "▁", "家"], [1, numbers.choice([1, 5, 20]), 1, 1, 1], k=60)
        pieces = pieces[: numbers.randrange(60)]
        ends = cut_sentence(pieces, 10)
        assert ends == sorted(set(ends))
        assert ends[-1:] == [len(pieces)] * bool(pieces)
        for start, end in itertools.pairwise([0, *ends[:-1]]):
            assert 5 < end - start <= 10
            words = [n for n in range(start + 6, start + 11) if pieces[n] in ("▁a", "▁", "家")]
            commas = [n for n in words if pieces[n - 1] == ","]
            assert end == max(commas or words, default=start + 10)
    assert cut_sentence([], 10) == []
    assert cut_sentence(["a"] * 10, 10) == [10]


def test_whatever_the_pieces_say_a_translation_is_one_line(tokenizer: Tokenizer) -> None:
    class Breaking(Tokenizer):
        def decode(self, ids: object) -> list[str]:
            return [" a\nb\r\n", "c\u2028d\x0b\x85 "]

    broken = Translator(build(tokenizer).model, tokenizer, Breaking(tokenizer.model), SearchConfig(beam_size=1))
    assert texts(broken.translate([PAIRS[0].en])) == ["a b c d"]


def test_candidates_come_best_first_as_many_as_asked_for(tokenizer: Tokenizer) -> None:
    translator = build(tokenizer, beam_size=5)
    for n_best in (1, 4, 5, 2):
        translator.set_n_best(n_best)
        for candidates in translator.translate([pair.en for pair in PAIRS[:5]]):
            assert len(candidates) == n_best
            scores = [candidate.score for candidate in candidates]
            assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("attention", [AttentionKind.additive, None])
def test_hypotheses_have_the_probability_the_model_gives_them(
    tokenizer: Tokenizer, attention: AttentionKind | None
) -> None:
    wide = build(tokenizer, attention, beam_size=4, n_best=4)
    with torch.no_grad():
        wide.model.output_bias[[PAD_ID, UNK_ID, BOS_ID]] += 9.0  # forbidden tokens have the highest logits
    sources = tokenizer.encode([PAIRS[0].en, "the house", PAIRS[1].en, ""])
    for source, hypotheses in zip(sources, wide.search(sources, lambda lines: None), strict=True):
        assert len(hypotheses) == 4
        for hypothesis in hypotheses:
            assert not {PAD_ID, UNK_ID, BOS_ID, EOS_ID} & set(hypothesis.tokens)
            batch = make_batch([source], [hypothesis.tokens], [0])
            with torch.no_grad():
                log_probs = wide.model.eval()(batch.src, batch.src_mask, batch.tgt_in).log_softmax(dim=-1)
            log_prob = log_probs.gather(-1, batch.tgt_out.unsqueeze(-1)).sum().item()
            assert hypothesis.log_prob == pytest.approx(log_prob, rel=1e-4)
            assert hypothesis.score == pytest.approx(log_prob / (len(hypothesis.tokens) + 1), rel=1e-4)


def test_the_limit_grows_with_the_source(tokenizer: Tokenizer) -> None:
    tall = build(tokenizer, beam_size=1, max_length_ratio=1.5, max_length_offset=2)
    with torch.no_grad():
        tall.model.output_bias[EOS_ID] = -1e3  # only the limit ends it
    sources = [[10] * 3, [10] * 8]
    found: list[list[Hypothesis]] = tall.search(sources, lambda lines: None)
    assert [len(hypotheses[0].tokens) for hypotheses in found] == [6 + 2, 13 + 2]  # eos is counted: 1.5 x 4, 1.5 x 9


def test_translating_drops_nothing_and_leaves_the_model_in_its_mode(tokenizer: Tokenizer) -> None:
    lines = [pair.en for pair in PAIRS[:3]]
    careful = build(tokenizer)
    for training in (True, False):
        careful.model.train(training)
        assert careful.translate(lines) == careful.translate(lines)
        assert careful.model.training == training


def test_the_attention_map_has_the_pieces_for_labels_and_rows_that_sum_to_one(tokenizer: Tokenizer) -> None:
    src, tgt = PAIRS[0]
    found = build(tokenizer).attention(src, tgt)
    assert found is not None
    assert found.src[-1] == found.tgt[-1] == "</s>"
    assert "".join(found.src[:-1]).replace("▁", " ").strip() == src
    assert "".join(found.tgt[:-1]).replace("▁", " ").strip() == tgt
    assert len(found.weights) == len(found.tgt)
    for row in found.weights:
        assert len(row) == len(found.src)
        assert sum(row) == pytest.approx(1.0, abs=1e-5)


def test_the_attention_map_of_an_empty_line_is_all_on_its_end(tokenizer: Tokenizer) -> None:
    found = build(tokenizer).attention("", "")
    assert found is not None
    assert (found.src, found.tgt, found.weights) == (["</s>"], ["</s>"], [[1.0]])


def test_attention_maps_read_together_are_those_of_each_sentence_alone(tokenizer: Tokenizer) -> None:
    ready = build(tokenizer)
    src, tgt = [pair.en for pair in PAIRS[:6]], [pair.de for pair in PAIRS[:6]]
    src[2], tgt[4] = "", ""
    together = ready.attentions(src, tgt)
    assert together is not None
    for own_src, own_tgt, found in zip(src, tgt, together, strict=True):
        alone = ready.attention(own_src, own_tgt)
        assert alone is not None
        assert (found.src, found.tgt) == (alone.src, alone.tgt)
        torch.testing.assert_close(torch.tensor(found.weights), torch.tensor(alone.weights))


def test_there_is_no_attention_map_without_attention(tokenizer: Tokenizer) -> None:
    assert build(tokenizer, attention=None).attention(*PAIRS[0]) is None


def test_two_batches_side_by_side_are_as_one_after_the_other(tokenizer: Tokenizer) -> None:
    lines = [pair.en for pair in PAIRS[:24]]
    threads = torch.get_num_threads()
    ready = build(tokenizer, batch_size=4)
    try:
        torch.set_num_threads(1)
        expected = ready.translate(lines)
        torch.set_num_threads(2)
        assert ready.translate(lines) == expected
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_an_interrupt_leaves_threads_and_model_as_they_were(tokenizer: Tokenizer) -> None:
    def interrupt(lines: int) -> None:
        raise KeyboardInterrupt

    threads = torch.get_num_threads()
    ready = build(tokenizer, batch_size=4)
    ready.model.train()
    try:
        torch.set_num_threads(2)
        with pytest.raises(KeyboardInterrupt):
            ready.translate([pair.en for pair in PAIRS[:24]], interrupt)
        assert torch.get_num_threads() == 2
        assert ready.model.training
    finally:
        torch.set_num_threads(threads)
