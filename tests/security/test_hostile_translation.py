"""Translation of arbitrary lines: one output line per input line, even if the logits are NaN."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from shapes import model_config

from nmt.cli.app.file_translation import translate_batches, translate_file
from nmt.config import MbrCandidates, MbrReferences, Precision, SearchConfig, SearchKind
from nmt.data import Tokenizer
from nmt.decoding import ConstraintBuilder, Translator, align
from nmt.errors import UserError
from nmt.models import Vocabulary, build_model

MEGABYTE = 1 << 20
LINES = [
    *(b"", b" ", b"\r", b"\x00", b"tea\x00tea", b"\xef\xbb\xbf", b"\t", b"x" * 2000),
    *(
        text.encode()
        for text in ("a\u2028b\u2029c\x85d\x0be", "\u200b\u200d\u202e", "e\u0301" * 300, "\U0010ffff", "▁ ▁")
    ),
]
SEARCHES = {
    **{kind.value: SearchConfig(kind=kind, beam_size=2, groups=2) for kind in SearchKind},
    "samples": SearchConfig(
        kind=SearchKind.mbr,
        mbr_candidates=MbrCandidates.samples,
        mbr_references=MbrReferences.samples,
        mbr_samples=3,
        top_k=5,
    ),
    "nucleus": SearchConfig(kind=SearchKind.sampling, top_p=0.9, temperature=3.0, block_ngrams=2),
}


def made(tokenizer: Tokenizer, search: str, value: float | None = None) -> Translator:
    """Return a tiny model with random weights, or with all weights set to a value."""
    torch.manual_seed(0)
    model = build_model(model_config(embed_size=8, hidden_size=8), Vocabulary(200, 200))
    for parameter in model.parameters():
        if value is None:
            torch.nn.init.normal_(parameter, std=0.7)
        else:
            torch.nn.init.constant_(parameter, value)
    config = replace(SEARCHES[search], max_length_ratio=0.0, max_length_offset=3)
    return Translator(model, tokenizer, tokenizer, config)


def translated(translator: Translator, content: bytes, folder: Path) -> list[str]:
    (folder / "text").write_bytes(content)
    translate_file(translator, folder / "text", str(folder / "out"))
    *lines, rest = (folder / "out").read_text(encoding="utf-8").split("\n")
    (folder / "out").unlink()
    assert rest == ""
    return lines


@pytest.mark.parametrize("precision", [Precision.float32, Precision.bfloat16, Precision.int8])
@pytest.mark.parametrize("search", SEARCHES)
def test_any_text_is_a_line(tokenizer: Tokenizer, search: str, precision: Precision, tmp_path: Path) -> None:
    translator = made(tokenizer, search)
    translator.model.prepare_search(precision)
    assert translator.model.precision == precision
    assert len(translated(translator, b"\n".join(LINES), tmp_path)) == len(LINES)


def test_candidates_are_numbered_over_the_whole_text(tokenizer: Tokenizer) -> None:
    translator = made(tokenizer, "beam")
    translator.config = replace(translator.config, n_best=2)
    output = io.StringIO(newline="\n")
    translate_batches(translator, iter([["tea"], ["tea", "tea"], ["tea"]]), output, None)
    assert [line.split("\t")[0] for line in output.getvalue().split("\n")[:-1]] == list("00112233")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("search", SEARCHES)
def test_a_model_without_finite_scores_gives_lines(
    tokenizer: Tokenizer, search: str, value: float, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    translator = made(tokenizer, search, value)
    assert len(translated(translator, b"tea\n\nThe door is open.\n" + b"tea " * 500, tmp_path)) == 4
    translations = translator.translate(["tea", ""])
    assert [len(links) for links in align(translator, ["tea", ""], translations)] == [
        len(candidates) for candidates in translations
    ]
    if value != 1e30:
        assert [candidates[0].text for candidates in translations] == ["", ""]
        assert "scores are not finite" in caplog.text


def test_demands_of_a_model_without_numbers_are_left_out(tokenizer: Tokenizer) -> None:
    translator = made(tokenizer, "beam", float("nan"))
    demands = ConstraintBuilder(tokenizer)
    asked = [demands.make("der ", ["Tee"]), demands.make("", ["Tee"]), demands.make("der")]
    assert len(translator.translate(["tea"] * 3, constraints=asked)) == 3


@pytest.mark.parametrize("line", [b"a" * (MEGABYTE - 9), "\u200b".encode() * (MEGABYTE // 3)])
def test_a_megabyte_is_a_line(tokenizer: Tokenizer, line: bytes, tmp_path: Path) -> None:
    translator = made(tokenizer, "greedy")
    translator.src = Few(tokenizer.model)
    assert len(translated(translator, b"one\n" + line + b"\nthree", tmp_path)) == 3


@pytest.mark.parametrize("line", [b"\xff\xfe", b"\xed\xa0\x80", b"caf\xe9", b"a" * (MEGABYTE + 1)])
def test_what_is_not_text_is_refused_and_nothing_is_made_up(tokenizer: Tokenizer, line: bytes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"text: line 2 is (not UTF-8|longer than)"):
        translated(made(tokenizer, "greedy"), b"one\n" + line + b"\nthree", tmp_path)
    assert not (tmp_path / "out").exists()


class Few(Tokenizer):
    """Tokenizer that encodes only the start of a line, because thousands of parts are translated alike."""

    def encode(self, lines: list[str]) -> list[list[int]]:  # type: ignore[override]
        return [ids[:900] for ids in super().encode(lines)]

    def surfaces(self, lines: list[str]) -> list[list[str]]:  # type: ignore[override]
        return [pieces[:900] for pieces in super().surfaces(lines)]


def test_half_a_character_is_a_line_too(tokenizer: Tokenizer) -> None:
    """A Python string can contain lone surrogates, which UTF-8 cannot encode."""
    assert len(made(tokenizer, "greedy").translate(["a\ud800b", "\udcff"])) == 2
