"""Tests of the report page and the model card: their content, missing items, and escaping of hostile text."""

import base64
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from shapes import model_config

from nmt.config import Config, DataConfig, PhrasebookConfig, SearchConfig, TokenizerConfig
from nmt.data import prepare
from nmt.decoding import AttentionMap, load_translator
from nmt.evaluation import evaluate_split
from nmt.lab.report.facts import RunFacts, collect_facts, differences
from nmt.lab.report.page import heat_map, model_card, page, write_report
from nmt.metrics import sentence_scores, significance
from nmt.models import Vocabulary, build_model
from nmt.run import Checkpoint, RunDirectory, save_checkpoint

CPU = torch.device("cpu")
EVIL = '<script>alert("x")</script> & `*_|'
HEADINGS = (
    "Model details",
    "Intended use",
    "Factors",
    "Metrics",
    "Evaluation data",
    "Training data",
    "Quantitative analyses",
    "Ethical considerations",
    "Caveats and recommendations",
)
SCORE_OF_WORDS = '{"bleu": {"score": "x", "signature": "tok:13a"}, "made_by": {"search": {}, "seed": 1}}'
VOID = {"meta", "img", "rect", "br"}


class Reader(HTMLParser):
    """HTML parser that collects tags and text and checks that tags are nested correctly."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Return a scored run of an untrained model with hostile text in a sentence, a setting and the command."""
    folder = tmp_path_factory.mktemp("run")
    data = DataConfig(
        name=EVIL,
        phrasebook=PhrasebookConfig(train=150, valid=4, test=12),
        tokenizer=TokenizerConfig(vocab_size=150),
        cache=str(folder / "cache"),
    )
    search = SearchConfig(beam_size=2, max_length_ratio=0.0, max_length_offset=6)
    config = Config(data=data, model=model_config(embed_size=8, hidden_size=8), search=search)
    run = RunDirectory(folder / "run")
    run.create(config, prepare(config.data))
    torch.manual_seed(1)
    size = run.tokenizer("src").size
    model = build_model(config.model, Vocabulary(size, size))
    save_checkpoint(run.checkpoints, Checkpoint(30, dict(model.named_parameters()), run=run.identity), ["best"])
    for side in ("src", "tgt"):
        path = run.path / "data" / f"test.{side}"
        path.write_text(EVIL + "\n" + path.read_text(encoding="utf-8").partition("\n")[2], encoding="utf-8")
    translator, step = load_translator(run, "best", search, CPU)
    evaluate_split(run, translator, "test", step, config)
    lines = [{"step": step, "train/perplexity": 9 / step, "train/epoch": 0, "valid/bleu": step} for step in (1, 2)]
    run.metrics_path.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 3, "tra')
    run.add_start({"command": ["train.py", f"data.name={EVIL}"], "commit": "abc123+", "libraries": {"torch": "2"}})
    run.add_facts(1234, 90.0, 120.0, 2**30)
    run.finish()
    return run


@pytest.fixture(scope="module")
def facts(made: RunDirectory) -> RunFacts:
    return collect_facts(made, "test", CPU)


@pytest.fixture(scope="module")
def html(facts: RunFacts) -> str:
    return page(facts)


@pytest.fixture
def run(made: RunDirectory, tmp_path: Path) -> RunDirectory:
    """Return a copy of the run that a test can damage."""
    shutil.copytree(made.path, tmp_path / "run", symlinks=True)
    return RunDirectory(tmp_path / "run")


def test_the_page_is_complete_and_self_contained(html: str) -> None:
    read = Reader(html)
    for tag, attributes in read.tags:
        assert tag not in ("script", "link", "iframe", "object")
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
    assert "url(" not in html
    assert "@import" not in html
    ids = {attributes["id"] for _, attributes in read.tags if "id" in attributes}
    links = {str(attributes["href"])[1:] for tag, attributes in read.tags if tag == "a"}
    assert links == ids == {"configuration", "data", "curves", "scores", "examples", "errors", "cost", "repeat"}
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    assert base64.b64decode(picture, validate=True).startswith(b"\x89PNG")


def test_text_from_users_is_escaped(facts: RunFacts, html: str) -> None:
    assert "<script" not in html.lower()
    read = Reader(html)
    assert read.text.count(EVIL) >= 5  # the name, the command, the configuration, source and reference
    assert any(example.sentence.src == EVIL for example in facts.examples)
    card = model_card(facts)
    before, _, command = card.partition("## Reproduction")
    assert "<" not in before
    assert "&lt;script&gt;" in before
    assert "\\`\\*\\_\\|" in before
    block = [line for line in command.split("\n") if "<script>" in line]
    assert all(line.startswith("    ") for line in block), "an indented block shows the text unchanged"
    assert len(block) == 1


def test_a_name_with_line_feeds_cannot_start_a_heading(facts: RunFacts) -> None:
    starts = [replace(facts.starts[0], command="train\n# z")]
    hostile = replace(facts, name="a\n# b\n\n| c", missing=["x\n\n## y"], starts=starts)
    lines = model_card(hostile).split("\n")
    assert [line for line in lines if line.startswith("#")] == [
        "# Model card: a # b \\| c",
        *(f"## {heading}" for heading in (*HEADINGS, "Reproduction")),
    ]


def test_scores_are_those_of_the_record(made: RunDirectory, facts: RunFacts, html: str) -> None:
    record = json.loads((made.path / "scores" / "test.json").read_text())
    (shown,) = facts.scores
    assert [score.signature for score in shown.scores] == [
        record[name]["signature"] for name in record if name != "made_by"
    ]
    assert len(shown.scores) == 8
    chrf = next(score for score in shown.scores if score.label == "chrF")
    assert chrf.number == f"{record['chrf']['score']:.1f}"
    assert chrf.interval == "[{:.1f}, {:.1f}]".format(*record["chrf"]["interval"])
    assert ("search", "beam of 2, max_length_ratio=0.0, max_length_offset=6") in shown.made_by
    text, card = Reader(html).text, model_card(facts)
    for score in shown.scores:
        assert score.signature in text
        assert score.signature.replace("|", "\\|").replace("_", "\\_") in card


def test_the_card_has_the_headings_and_the_numbers_of_the_page(facts: RunFacts, html: str) -> None:
    card, text = model_card(facts), Reader(html).text
    for heading in HEADINGS:
        assert f"## {heading}\n" in card
    values = [fact for pairs in (facts.corpus, facts.progress, facts.cost) for _, fact in pairs]
    assert {"1.5 min", "1.00 GiB", "0.00 M", "2.00 at step 2", "150"} <= set(values)
    for fact in values:
        assert fact in text
        assert fact in card
    rows = [line for line in card.split("\n") if line.startswith("|")]
    assert max(map(len, rows)) <= 140
    assert max(len(cell.strip()) for row in rows for cell in row.split("|")) <= 80
    for name in ("abc123+", "torch 2"):
        assert name in card
        assert name in text
    assert "MIT licence" in str(facts.terms)
    assert str(facts.terms) in text
    assert str(facts.terms) in card


def test_only_the_training_speed_of_a_complete_run_is_missing(facts: RunFacts) -> None:
    (speed,) = facts.missing
    assert speed.startswith("Costs: training speed in target tokens, median; nmt-train")
    assert len(facts.mistakes) == 8
    assert facts.judged == 12
    assert len(facts.breakdowns) == 3
    assert all(example.attention for example in facts.examples)


def test_differences_are_the_changed_settings() -> None:
    set_by_user = Config(model=model_config(hidden_size=7, attention=None), seed=4)
    changed = {key: (value, default) for key, value, default in differences(set_by_user)}
    assert changed.keys() == {"model.hidden_size", "model.decoder.attention", "seed"}
    assert changed["model.decoder.attention"] == ("null", "additive")
    assert changed["seed"] == ("4", "1")


def test_the_same_run_gives_the_same_bytes_and_both_files_are_rewritten(
    made: RunDirectory, facts: RunFacts, html: str, tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_text("old" * 9999)
    files = write_report(collect_facts(made, "test", CPU), tmp_path)
    assert [path.read_text(encoding="utf-8") for path in files] == [html, model_card(facts)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model_card.md", "report.html"]


def without(*names: str) -> Callable[[RunDirectory], None]:
    def remove(run: RunDirectory) -> None:
        for name in names:
            path = run.path / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove


def with_text(name: str, text: str) -> Callable[[RunDirectory], None]:
    return lambda run: (run.path / name).write_text(text) and None


def unfinished(run: RunDirectory) -> None:
    run.write_record({**run.record(), "finished": False, "facts": {}, "starts": []})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("scores"), "has no scores of its test set; compute them with: nmt-evaluate run="),
        (without("checkpoints"), "no checkpoint yet"),
        (without("metrics.jsonl"), "metrics.jsonl has no line; write it with: nmt-train train.resume="),
        (without("data/report.json"), "data/report.json"),
        (without("data/words.json"), "has no data/words.json"),
        (without("data/test.src", "data/test.tgt"), "has no test set"),
        (with_text("scores/test.json", "{"), "scores/test.json is damaged; write it again with: nmt-evaluate run="),
        (with_text("scores/test.json", '{"made_by": {"search": {}, "seed": 1}}'), "has no score"),
        (with_text("scores/test.json", SCORE_OF_WORDS), "scores/test.json is damaged"),
        (with_text("scores/other.json", "[]"), "scores/other.json is damaged"),
        (with_text("scores/test.hyp", "a\n"), "scores/test.hyp has 1 lines for 12 sentences"),
        (with_text("scores/test.hyp", "a\n" * 12), "was recorded; score it again: nmt-evaluate run="),
        (with_text("metrics.jsonl", "[1]\n\nnull\n"), "metrics.jsonl has no line"),
        (unfinished, "The training is not finished; continue it with: nmt-train train.resume="),
    ],
)
def test_missing_items_are_listed_and_nothing_fails(
    run: RunDirectory, damage: Callable[[RunDirectory], None], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.lab.report.page.curves", lambda facts: "")
    monkeypatch.setattr(significance, "RESAMPLES", 80)
    damage(run)
    incomplete = collect_facts(run, "test", CPU)
    assert any(message in sentence for sentence in incomplete.missing), incomplete.missing
    assert message in Reader(page(incomplete)).text
    assert set(HEADINGS) <= {line[3:] for line in model_card(incomplete).split("\n") if line.startswith("## ")}


def test_examples_have_their_sentence_score(facts: RunFacts) -> None:
    for example in facts.examples:
        shown = example.sentence
        assert [shown.chrf] == sentence_scores([shown.translation], [shown.reference], "chrf", "13a")


def test_a_heat_map_has_a_cell_at_the_position_of_each_weight() -> None:
    weights = [[0.9, 0.1, 0.0], [0.0, 0.25, 0.75]]
    drawn = heat_map(AttentionMap(["a", "bb", "</s>"], ["x", "</s>"], weights))
    columns, rows = [x for x, _ in drawn.columns], [y for y, _ in drawn.rows]
    assert {(columns.index(x), rows.index(y)): weight for x, y, weight in drawn.cells} == {
        (column, row): weight for row, line in enumerate(weights) for column, weight in enumerate(line) if weight
    }
    assert [piece for _, piece in drawn.columns] == ["a", "bb", "</s>"]
    assert max(columns) < drawn.width
    assert max(rows) < drawn.height
