"""Integration tests of multilingual runs, source factors and replaced words: train, resume, score, translate."""

import json
from pathlib import Path

import pytest
from command import SMALL, assert_same_run, call, refused

from nmt.phrasebook import pairs

pytestmark = pytest.mark.commands

BOTH = (
    "data.directions=[{src_lang: de, tgt_lang: en}]",
    "data.factors=[case]",
    "train.direction_temperature=2",
    "optim.schedule=constant",
)
LINES = ["Where is the station?", "", "Please open the door."]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("languages") / "run"
    call("train", *SMALL, *BOTH, "train.max_steps=20", f"hydra.run.dir={folder}", cwd=folder.parent)
    return folder


def test_a_run_with_tags_and_factors_resumes_to_the_same_bits(run: Path, tmp_path: Path) -> None:
    again = tmp_path / "run"
    call("train", *SMALL, *BOTH, "train.max_steps=10", f"hydra.run.dir={again}", cwd=tmp_path)
    call("train", f"train.resume={again}", "train.max_steps=20", cwd=tmp_path)
    assert_same_run(again, run)


def test_held_out_text_has_both_directions(run: Path) -> None:
    lines = (run / "data" / "test.src").read_text(encoding="utf-8").splitlines()
    assert [line.split()[0] for line in lines] == ["<2de>", "<2en>"] * 20
    form = json.loads((run / "tokenizer" / "src.form.json").read_text())
    assert form["tags"] == ["<2de>", "<2en>"]
    assert set(form["factors"]["case"]) <= {"lower", "title", "upper", "mixed", "none"}


def test_translate_takes_the_target_language(run: Path, tmp_path: Path) -> None:
    text = "".join(f"{line}\n" for line in LINES)
    outputs = {}
    for language in (None, "de", "en"):
        asked = () if language is None else (f"tgt_lang={language}",)
        outputs[language], _ = call("translate", f"run={run}", *asked, cwd=tmp_path, given=text)
    assert outputs[None] == outputs["de"]
    tagged = "".join(f"<2en> {line}\n" for line in LINES)
    assert call("translate", f"run={run}", cwd=tmp_path, given=tagged)[0] == outputs["en"]
    assert [not line for line in outputs["en"].split("\n")[:3]] == [False, True, False]
    assert "allowed: de, en" in refused("translate", f"run={run}", "tgt_lang=fr", "input=-", cwd=tmp_path)


def test_evaluate_scores_one_target_language(run: Path, tmp_path: Path) -> None:
    call("evaluate", f"run={run}", "tgt_lang=en", cwd=tmp_path)
    record = json.loads((run / "scores" / "test.en.json").read_text())
    assert record["made_by"]["sentences"] == 20
    whole = (run / "scores" / "test.hyp").read_text(encoding="utf-8").splitlines()
    assert (run / "scores" / "test.en.hyp").read_text(encoding="utf-8").splitlines() == whole[1::2]


def test_prefix_and_alignments_work_with_tags(run: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("".join(f"{line}\n" for line in LINES))
    files = ("input=in", "output=out", "alignments=links", "tgt_lang=en", "prefix=The")
    call("translate", f"run={run}", *files, cwd=tmp_path)
    translations = (tmp_path / "out").read_text().split("\n")
    assert translations[0].startswith("The")
    for line, links in zip(LINES, (tmp_path / "links").read_text().split("\n"), strict=False):
        assert all(int(link.split("-")[0]) < len(line.split()) for link in links.split())


def test_factors_in_the_text(tmp_path: Path) -> None:
    """Words with their length as a factor: training, translation, and a line without factors."""
    sides = [(" ".join(f"{word}|{len(word)}" for word in pair.en.split()), pair.de) for pair in pairs(300, seed=2)]
    for split, part in (("train", sides[:260]), ("valid", sides[260:280]), ("test", sides[280:])):
        for at, language in enumerate(("en", "de")):
            (tmp_path / f"{split}.{language}").write_text("".join(f"{pair[at]}\n" for pair in part), encoding="utf-8")
    files = ("data=files", "data.root=.", "data.factors=[length]", "data.tokenizer.vocab_size=300")
    settings = [setting for setting in SMALL if "phrasebook" not in setting]
    call("train", *settings, *files, "train.max_steps=10", "hydra.run.dir=run", cwd=tmp_path)
    output, _ = call("translate", "run=run", "input=test.en", cwd=tmp_path)
    assert len(output.split("\n")) == 21
    (tmp_path / "plain").write_text("the house\n")
    assert "plain, line 1: word 1, 'the', does not have the form word|LENGTH" in refused(
        "translate", "run=run", "input=plain", cwd=tmp_path
    )


def test_unknown_words_are_replaced(run: Path, tmp_path: Path) -> None:
    (tmp_path / "words.tsv").write_text("Where\tWo\n")
    for setting in ("copy", "words.tsv"):
        output, _ = call("translate", f"run={run}", f"search.replace_unknown={setting}", cwd=tmp_path, given="Where?\n")
        assert "⁇" not in output
    assert "line 1 is not source, tab, target" in refused(
        "translate", f"run={run}", "search.replace_unknown=no_tab", "input=-", cwd=with_file(tmp_path)
    )


def with_file(folder: Path) -> Path:
    (folder / "no_tab").write_text("Where Wo\n")
    return folder
