"""Translation, forced decoding, attention and hidden states from Python, against the model called directly."""

import asyncio
import math
import re
import textwrap
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nmt
from nmt.config import SearchConfig, SearchKind
from nmt.data import make_batch, normalise
from nmt.decoding import Translator, align
from nmt.errors import UserError
from nmt.run import RunDirectory


@pytest.fixture
def sentences(run: RunDirectory) -> list[str]:
    return run.text("test")[0][:7]


@pytest.fixture
def targets(run: RunDirectory) -> list[str]:
    return run.text("test")[1][:7]


def test_translations_are_those_of_the_search_with_their_details(
    translator: nmt.RunTranslator, sentences: list[str]
) -> None:
    model, base = translator.model, translator.base
    search = SearchConfig(beam_size=4, n_best=3, max_length_ratio=1.0, max_length_offset=3)
    direct = Translator(model, base.src, base.tgt, search)
    expected = direct.translate(sentences)
    n_best = translator.translate(sentences, n_best=3, beam_size=4, max_length_ratio=1.0, max_length_offset=3)
    assert [[best.text for best in of_line] for of_line in n_best] == [[c.text for c in line] for line in expected]
    for of_line, candidates, links in zip(n_best, expected, align(direct, sentences, expected), strict=True):
        for translation, candidate, pharaoh in zip(of_line, candidates, links, strict=True):
            (ids,) = candidate.pieces
            assert (translation.score, translation.log_prob) == (candidate.score, candidate.log_prob)
            assert translation.pieces == base.tgt.pieces(ids)
            product = math.prod([translation.confidence] * (len(ids) + 1))
            assert math.log(product) == pytest.approx(candidate.log_prob)
            assert translation.alignment is not None
            assert " ".join(f"{src}-{tgt}" for src, tgt in sorted(translation.alignment)) == pharaoh


def test_without_n_best_each_sentence_has_the_best_translation(
    translator: nmt.RunTranslator, sentences: list[str]
) -> None:
    best = [of_line[0] for of_line in translator.translate(sentences, n_best=2, beam_size=3)]
    assert translator.translate(sentences, beam_size=3) == best
    assert [item.alignment for item in translator.translate(sentences[:2], alignment=False)] == [None, None]
    assert translator.translate([]) == []
    (empty,) = translator.translate([""])
    assert (empty.text, empty.log_prob, empty.confidence, empty.pieces) == ("", 0.0, 1.0, [])


def test_search_settings_apply_to_one_call(translator: nmt.RunTranslator, sentences: list[str]) -> None:
    before = asdict(translator.search)
    greedy = translator.translate(sentences, kind="greedy")
    assert greedy == translator.translate(sentences, kind=SearchKind.greedy)
    assert [t.text for t in greedy] == [t.text for t in translator.translate(sentences, kind="beam", beam_size=1)]
    samples = translator.translate(sentences[:1], n_best=9, kind="sampling", seed=3)[0]
    assert len(samples) == 9
    assert len({sample.text for sample in samples}) > 1
    assert asdict(translator.search) == before


def test_a_shortlist_is_used(translator: nmt.RunTranslator, sentences: list[str]) -> None:
    """The tables are loaded once, by the first search that needs them."""
    limited = translator.translator({"shortlist": 32})
    assert limited.shortlist is not None
    assert limited.config.shortlist == 32
    assert translator.translator({"shortlist": 40}).shortlist is limited.shortlist
    few, all_pieces = (
        {piece for sample in samples for piece in sample.pieces}
        for samples in (
            translator.translate(sentences[:1], n_best=20, kind="sampling", shortlist=size)[0] for size in (32, None)
        )
    )
    assert len(few) < len(all_pieces)


def test_prefixes_and_phrases_are_in_the_translations(translator: nmt.RunTranslator, sentences: list[str]) -> None:
    first, second = translator.translate(sentences[:2], prefixes=["Mein Vater", ""], phrases=[[], ["Tisch"]])
    assert first.text.startswith("Mein Vater")
    assert "Tisch" in second.text.split()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"beam": 3}, "beam is not a search setting; did you mean beam_size?"),
        ({"xyzzy": 3}, "xyzzy is not a search setting; there are: kind, beam_size"),
        ({"beam_size": 0}, "search.beam_size is 0; allowed: from 1 to 1000"),
        ({"n_best": 0}, "search.n_best is 0; allowed: from 1 to"),
        ({"kind": "beams"}, "search.kind: Invalid value 'beams', expected one of [greedy, beam"),
        ({"prefixes": ["Mein"]}, "prefixes has 1 items for 2 sentences"),
        ({"phrases": ["Tisch", "Tisch"]}, "phrases is one text; give a list of texts: ['Tisch']"),
        ({"prefixes": ["☃", ""]}, "sentence 1: the model's vocabulary cannot write '☃'"),
    ],
)
def test_a_wrong_setting_is_an_error_of_one_line(
    translator: nmt.RunTranslator, sentences: list[str], settings: dict[str, object], said: str
) -> None:
    with pytest.raises(nmt.errors.UserError) as caught:
        translator.translate(sentences[:2], **settings)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_text_is_not_taken_for_a_list_of_letters(translator: nmt.RunTranslator) -> None:
    for call in (translator.translate, translator.encode, lambda text: translator.score(text, text)):
        with pytest.raises(UserError, match="is one text; give a list of texts"):
            call("My father")
    with pytest.raises(UserError, match="sentences holds 3, which is not a text"):
        translator.translate(["a", 3])  # type: ignore[list-item]


def test_forced_decoding_gives_the_probabilities_of_a_pass_over_the_whole_sentence(
    translator: nmt.RunTranslator, sentences: list[str], targets: list[str]
) -> None:
    scores = translator.score(sentences, targets)
    model, base = translator.model, translator.base
    for source, target, score in zip(sentences, targets, scores, strict=True):
        ids = base.tgt.encode([normalise(target)])
        batch = make_batch(base.src.encode([normalise(source)]), ids, [0])
        with torch.no_grad():
            log_probs = model(batch.src, batch.src_mask, batch.tgt_in).log_softmax(dim=-1)[:, 0]
        expected = [float(row[token]) for row, token in zip(log_probs, batch.tgt_out[:, 0], strict=True)]
        assert score.piece_log_probs == pytest.approx(expected, abs=1e-4)
        assert score.log_prob == pytest.approx(sum(expected), abs=1e-3)
        assert score.pieces == [*base.tgt.pieces(ids[0]), "</s>"]
    assert translator.score([], []) == []
    with pytest.raises(UserError, match="targets has 7 items for 6 sentences"):
        translator.score(sentences[:6], targets)


def test_a_found_translation_has_the_probability_of_a_pass_over_its_pieces(
    translator: nmt.RunTranslator, sentences: list[str]
) -> None:
    base = translator.base
    candidates = base.translate(sentences)
    for source, (candidate, *_), found in zip(sentences, candidates, translator.translate(sentences), strict=True):
        batch = make_batch(base.src.encode([normalise(source)]), candidate.pieces, [0])
        with torch.no_grad():
            log_probs = translator.model(batch.src, batch.src_mask, batch.tgt_in).log_softmax(dim=-1)
        expected = float(log_probs.gather(2, batch.tgt_out.unsqueeze(2)).sum())
        assert found.log_prob == pytest.approx(expected, abs=1e-3)
        assert found.confidence == pytest.approx(math.exp(expected / len(batch.tgt_out)), rel=1e-3)


def test_hidden_states_are_the_encoders_output_for_each_sentence_alone(
    translator: nmt.RunTranslator, sentences: list[str]
) -> None:
    encoding = translator.encode(sentences)
    ids = translator.base.src.encode([normalise(line) for line in sentences])
    assert encoding.states.shape[:2] == (7, max(map(len, ids)) + 1)
    for row, mask, pieces, line in zip(encoding.states, encoding.mask, encoding.pieces, ids, strict=True):
        batch = make_batch([line], [[]], [0])
        with torch.no_grad():
            alone = translator.model.encoder(batch.src, batch.src_mask).memory[:, 0]
        assert mask.tolist() == [True] * len(pieces) + [False] * (len(mask) - len(pieces))
        assert pieces[-1] == "</s>"
        assert_close(row[mask], alone)
        assert (row[~mask] == 0).all()
    assert translator.encode([]).pieces == []


def test_a_probe_can_be_trained_on_hidden_states(translator: nmt.RunTranslator, sentences: list[str]) -> None:
    states = translator.encode(sentences).states
    probe = nn.Linear(states.size(2), 1)
    probe(states).sum().backward()
    assert probe.weight.grad is not None
    assert all(parameter.grad is None for parameter in translator.model.parameters())


def test_dropout_is_off_although_the_module_was_put_into_training_mode(
    translator: nmt.RunTranslator, sentences: list[str], targets: list[str]
) -> None:
    expected = translator.encode(sentences).states, translator.score(sentences, targets)
    for number, call in enumerate((translator.encode, lambda lines: translator.score(lines, targets))):
        translator.model.train()
        actual = call(sentences)
        if number == 0:
            assert torch.equal(actual.states, expected[0])
        else:
            assert actual == expected[1]
    translator.model.eval()


def test_an_attention_matrix_has_the_weights_of_the_model_and_draws_itself(
    translator: nmt.RunTranslator, sentences: list[str], targets: list[str], tmp_path: Path
) -> None:
    matrix = translator.attention(sentences[0], targets[0])
    base = translator.base
    batch = make_batch(base.src.encode([normalise(sentences[0])]), base.tgt.encode([targets[0]]), [0])
    with torch.no_grad():
        weights = translator.model.attention(batch.src, batch.src_mask, batch.tgt_in)
    assert weights is not None
    assert_close(torch.from_numpy(matrix.weights), weights[0])
    assert matrix.weights.shape == (len(matrix.tgt), len(matrix.src))
    figure = matrix.plot("a title")
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == matrix.src
    assert figure._repr_png_().startswith(b"\x89PNG")
    figure.savefig(tmp_path / "attention.png")
    translation = translator.translate(sentences[:1])[0]
    assert translator.attention(sentences[0]).tgt == translator.attention(sentences[0], translation.text).tgt


def test_an_ensemble_of_one_model_twice_translates_as_the_model(
    run: RunDirectory, translator: nmt.RunTranslator, sentences: list[str]
) -> None:
    ensemble = nmt.load([run, str(run.path)], threads=1)
    assert [t.text for t in ensemble.translate(sentences)] == [t.text for t in translator.translate(sentences)]
    assert len(ensemble.models) == 2
    for refused in (lambda: ensemble.model, lambda: ensemble.encode(sentences)):
        with pytest.raises(UserError, match="an ensemble of 2 runs has no single model"):
            refused()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"checkpoint": "first"}, "checkpoint is 'first'; allowed: best, last, average:N"),
        ({"device": "tpu"}, "machine.device is 'tpu'; allowed: auto, cpu, cuda"),
        ({"precision": "float16"}, "Invalid value 'float16', expected one of [auto, float32, bfloat16, int8]"),
        ({"threads": 0}, "machine.threads is 0; allowed: from 1 to 1024"),
    ],
)
def test_a_wrong_argument_of_load_is_an_error_of_one_line(
    run: RunDirectory, settings: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        nmt.load(run, **settings)
    assert said in str(caught.value)


def test_loading_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the list of runs is empty"):
        nmt.load([])
    with pytest.raises(UserError, match="does not exist; name the run directory"):
        nmt.load(tmp_path / "nothing")


def test_loading_leaves_the_random_numbers_of_the_program(run: RunDirectory) -> None:
    before = torch.get_rng_state()
    nmt.load(run, threads=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_one_translator_serves_several_threads_and_an_event_loop(
    translator: nmt.RunTranslator, sentences: list[str]
) -> None:
    expected = {beam: translator.translate(sentences, beam_size=beam) for beam in (1, 2, 3, 4)}
    with ThreadPoolExecutor(4) as pool:
        calls = {beam: pool.submit(translator.translate, sentences, beam_size=beam) for beam in expected}
        assert {beam: call.result() for beam, call in calls.items()} == expected

    async def inside() -> list[nmt.Translation]:
        return translator.translate(sentences, beam_size=2)

    assert asyncio.run(inside()) == expected[2]


def test_the_search_of_the_command_line_is_named_as_the_keyword_of_python(translator: nmt.RunTranslator) -> None:
    with pytest.raises(UserError, match='kind="greedy"'):
        translator.translate(["Hello."], search="greedy")


def test_the_code_of_the_page_of_recurrences_records_the_gates(run: RunDirectory) -> None:
    page = (Path(__file__).parents[3] / "docs" / "recurrences.md").read_text(encoding="utf-8")
    block = re.findall(r"(?:^    .*\n|^\n(?=    ))+", page.partition("## Gates\n")[2], re.MULTILINE)[0]
    names: dict[str, Any] = {}
    exec(textwrap.dedent(block).replace('"RUN"', repr(str(run.path))), names)
    gates, model, batch = names["gates"], names["model"], names["batch"]
    assert gates.forget.shape == (*batch.src.shape, names["config"].hidden_size // 2)
    original = names["translator"].model
    assert_close(model(batch.src, batch.src_mask, batch.tgt_in), original(batch.src, batch.src_mask, batch.tgt_in))
