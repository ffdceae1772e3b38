"""Alignments compared with constructed attention, with counted words, and with a model trained to copy."""

import itertools
import random
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from shapes import model_config
from torch import Tensor
from torch.nn.functional import cross_entropy
from toy_translator import STRANGE, build

from nmt.cli.app.file_translation import translate_file
from nmt.config import AttentionKind, SearchConfig, SearchKind
from nmt.data import BOS_ID, PAD_ID, Tokenizer, make_batch, normalise
from nmt.decoding import Candidate, Translator, align, alignment
from nmt.decoding.alignment import links, pharaoh, source_words, without_punctuation, word_numbers
from nmt.decoding.parts import cut_lines
from nmt.errors import UserError
from nmt.models import Vocabulary, build_model
from nmt.phrasebook import Pair


class ByHand:
    """Model stub with known attention weights for each target."""

    def __init__(self, known: dict[tuple[int, ...], np.ndarray]) -> None:
        self.known = known

    training = False

    def eval(self) -> None:
        pass

    def train(self, mode: bool) -> None:
        pass

    def parameters(self) -> Iterator[Tensor]:
        yield torch.zeros(1)

    def attention(self, src: Tensor, src_mask: Tensor, tgt_in: Tensor) -> Tensor:
        weights = torch.full(
            (src.size(1), len(tgt_in), len(src)), 9.0
        )  # padding and eos would have the most attention if they were used
        for row, (mask, tgt) in enumerate(zip(src_mask.t(), tgt_in.t(), strict=True)):
            own = self.known[tuple(token for token in tgt.tolist() if token not in (BOS_ID, PAD_ID))]
            padding = int((~mask).sum())
            weights[row, : len(own), padding : padding + own.shape[1]] = torch.from_numpy(own)
        return weights


def unspaced(word: str) -> bool:
    return re.search("[\u3040-\u30ff\u4e00-\u9fff]", word) is not None


def candidate(tokenizer: Tokenizer, text: str) -> Candidate:
    return Candidate(text, 0.0, 0.0, tokenizer.encode([text]))


def test_each_target_word_is_linked_to_the_source_word_of_the_largest_sum() -> None:
    numbers = np.random.default_rng(1)
    src_words, tgt_words = [3, 3, 4, 6, 6, 6, 7], [0, 1, 1, 2, 2]
    for _ in range(20):
        weights = numbers.random((5, 7))
        expected = []
        for j in sorted(set(tgt_words)):
            sums = {
                i: sum(weights[t, s] for t in range(5) for s in range(7) if tgt_words[t] == j and src_words[s] == i)
                for i in src_words
            }
            expected.append((max(sums, key=sums.__getitem__), j))
        assert links(weights, src_words, tgt_words) == expected
    # Neither piece of the second word has the most attention, but their sum does.
    assert links(np.array([[0.4, 0.3, 0.3]]), [0, 1, 1], [0]) == [(1, 0)]


def test_pharaoh_is_sorted_by_source_word() -> None:
    assert pharaoh([(2, 0), (0, 1), (10, 2), (0, 0)]) == "0-0 0-1 2-0 10-2"
    assert pharaoh([]) == ""


@pytest.mark.parametrize(
    ("pieces", "numbers", "words"),
    [
        (["▁the", "▁house", "s", "."], [0, 1, 1, 1], 2),
        (["▁", "the", "▁", "▁", "▁x"], [0, 0, 1, 1, 1], 2),
        (["the", "▁x", "▁"], [0, 1, 1], 2),
        (["▁a▁b", "c▁", "▁d"], [1, 1, 2], 3),
        (["▁a", "\u2028", "b"], [0, 1, 1], 2),
        (["▁"], [-1], 0),
        ([], [], 0),
    ],
)
def test_words_of_pieces(pieces: list[str], numbers: list[int], words: int) -> None:
    assert word_numbers(pieces) == ([[number] for number in numbers], words)


@pytest.mark.parametrize("line", [*STRANGE.values(), "▁", "a▁", "x ▁ y", "a\x07b \u200b c", "e\u0301 \u0301x"])
def test_every_piece_belongs_to_the_word_that_spells_it(tokenizer: Tokenizer, line: str) -> None:
    [parts] = cut_lines([normalise(line)], tokenizer, "en", 8)
    pieces = [piece for part in parts for piece in part.pieces]
    found = source_words(line, parts)
    assert found == sorted(found)
    words = [unit for word in line.split() for unit in (normalise(word) if unspaced(word) else [normalise(word)])]
    for piece, numbers in zip(pieces, found, strict=bool(found)):
        assert piece.replace("▁", "") in "".join(words[number] for number in numbers)
    visible = [i for i, word in enumerate(words) if word.strip("▁")]
    assert sorted({number for numbers in found for number in numbers}) == visible


def test_attention_made_by_hand_over_words_of_several_pieces(tokenizer: Tokenizer) -> None:
    sources = ["The museum  is\u00a0open.", "", "Yes.", "The tea is really quite hot today."]
    targets = ["Das Museum ist offen.", "", "Aber ja doch.", "Heute ist der Tee wirklich heiß."]
    numbers = np.random.default_rng(1)

    def spans(line: str) -> list[range]:
        """Return the indices of each word's pieces; a word has the same pieces in any line."""
        ends = list(itertools.accumulate(len(ids) for ids in tokenizer.encode(line.split())))
        return [range(start, end) for start, end in zip([0, *ends], ends, strict=False)]

    known, expected = {}, []
    for source, target in zip(sources, targets, strict=True):
        src, tgt = spans(source), spans(target)
        if not target:
            expected.append([""])
            continue
        weights = numbers.random((tgt[-1].stop, src[-1].stop))
        known[tuple(tokenizer.encode([target])[0])] = weights
        pairs = []
        for j, rows in enumerate(tgt):
            sums = [sum(weights[t, s] for t in rows for s in columns) for columns in src]
            pairs.append((sums.index(max(sums)), j))
        expected.append([" ".join(f"{i}-{j}" for i, j in sorted(pairs))])
    assert max(len(rows) for target in targets for rows in spans(target)) > 3
    ready = Translator(ByHand(known), tokenizer, tokenizer, SearchConfig())  # type: ignore[arg-type]
    translations = [[candidate(tokenizer, target)] if target else [Candidate("", 0.0, 0.0)] for target in targets]
    assert align(ready, sources, translations) == expected


def test_the_parts_of_a_long_line_are_aligned_each_in_its_place(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    ready = build(tokenizer, max_source_pieces=24)
    line = " ".join(pair.en for pair in phrases[:8])
    parts = tokenizer.decode([part.ids for part in ready.parts([line])[0]])
    assert len(parts) > 6
    assert sum(len(part.split()) for part in parts) == len(line.split())
    expected, src_before, tgt_before = [], 0, 0
    for part, found in zip(parts, ready.translate(parts), strict=True):
        [[text]] = align(ready, [part], [found])
        pairs = [tuple(map(int, link.split("-"))) for link in text.split()]
        expected += [(src + src_before, tgt + tgt_before) for src, tgt in pairs]
        src_before += len(part.split())
        tgt_before += len(found[0].text.split())
    [whole] = ready.translate([line])
    assert align(ready, [line], [whole]) == [[pharaoh(expected)]]
    assert sorted(tgt for _, tgt in expected) == list(range(len(whole[0].text.split())))


@pytest.mark.parametrize("kind", [SearchKind.beam, SearchKind.sampling])
def test_every_word_of_every_candidate_has_a_link_whatever_stands_beside_it(
    tokenizer: Tokenizer, kind: SearchKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = build(tokenizer, kind=kind, n_best=3)
    lines = list(STRANGE.values())
    translations = ready.translate(lines)
    monkeypatch.setattr(alignment, "READ_TOGETHER", 5)
    aligned = align(ready, lines, translations)
    for line, candidates, texts in zip(lines, translations, aligned, strict=True):
        assert align(ready, [line], [candidates]) == [texts]
        for best, text in zip(candidates, texts, strict=True):
            pairs = [tuple(map(int, link.split("-"))) for link in text.split()]
            assert sorted(tgt for _, tgt in pairs) == list(range(len(best.text.split())))
            assert all(0 <= src < len(line.split()) + len(re.findall("[家は赤い]", line)) for src, _ in pairs)


def test_a_file_of_alignments_has_a_line_for_each_line_of_output(
    tokenizer: Tokenizer, phrases: list[Pair], tmp_path: Path
) -> None:
    source, output, links = (tmp_path / name for name in ("in", "out", "links"))
    lines = [phrases[0].en, "", phrases[1].en, "the door"]
    source.write_text("".join(f"{line}\n" for line in lines))
    for n_best in (1, 2):
        ready = build(tokenizer, n_best=n_best)
        translate_file(ready, source, str(output), str(links))
        expected = [text for of_line in align(ready, lines, ready.translate(lines)) for text in of_line]
        assert links.read_text() == "".join(f"{text}\n" for text in expected)
        assert output.read_text().count("\n") == len(expected) == (4 if n_best == 1 else 7)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "links", "out"]
    with pytest.raises(UserError, match="nowhere"):
        translate_file(ready, source, None, str(tmp_path / "nowhere" / "links"))


@pytest.mark.commands
def test_a_model_that_copies_aligns_each_word_with_itself(tokenizer: Tokenizer, phrases: list[Pair]) -> None:
    torch.manual_seed(1)
    shape = model_config(embed_size=48, hidden_size=64, attention=AttentionKind.general, dropout=0.0, word_dropout=0.0)
    model = build_model(shape, Vocabulary(tokenizer.size, tokenizer.size))
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    numbers = random.Random(1)
    words = sorted({word for pair in phrases for word in pair.en.split()})
    for _ in range(300):
        ids = tokenizer.encode([" ".join(numbers.choices(words, k=numbers.randrange(2, 8))) for _ in range(32)])
        batch = make_batch(ids, ids, range(32))
        logits = model(batch.src, batch.src_mask, batch.tgt_in)[batch.tgt_mask]
        loss = cross_entropy(logits, batch.tgt_out[batch.tgt_mask])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    lines = [" ".join(numbers.sample(words, k=6)) for _ in range(50)]
    ready = Translator(model, tokenizer, tokenizer, SearchConfig(beam_size=2))
    copies = [[candidate(tokenizer, line)] for line in lines]
    diagonal = {f"{i}-{i}" for i in range(6)}
    right = sum(len(diagonal & set(text.split())) for [text] in align(ready, lines, copies))
    assert right > 0.95 * 6 * len(lines)


def test_pieces_of_punctuation_are_left_out_of_words_with_letters() -> None:
    pieces = ["▁Haus", ".", "▁", "…", "▁(", "rot", ")"]
    words = [[0], [0], [1], [1], [2], [2], [2]]
    assert without_punctuation(words, pieces) == [[0], [], [1], [1], [], [2], []]
