"""The export command, and the other commands on an exported folder; every member of the recurrent family."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import torch
from command import ROOT, SMALL, call, refused, start
from family import MEMBERS
from shapes import model_config

import nmt
from nmt.export.graphs import export_graphs
from nmt.export.sessions import ExportedModel, read_graph
from nmt.export.write import largest_difference
from nmt.models import Vocabulary, build_model
from nmt.phrasebook import pairs

pytestmark = pytest.mark.commands
LINES = [pair.en for pair in pairs(12, seed=5)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "run"
    call("train", *SMALL, "train.max_steps=20", f"hydra.run.dir={folder}", cwd=folder.parent)
    return folder


@pytest.fixture(scope="module")
def exported(run: Path) -> Path:
    folder = run.parent / "exported"
    output, _ = call("export", f"run={run}", f"output={folder}", cwd=run.parent)
    assert output.strip() == str(folder)
    return folder


def test_the_test_set_is_translated_as_by_the_run(run: Path, exported: Path) -> None:
    text = f"input={run / 'data' / 'test.src'}"
    theirs, _ = call("translate", f"run={run}", text, cwd=run.parent)
    ours, _ = call("translate", f"run={exported}", text, cwd=run.parent)
    assert ours == theirs
    lines = "".join(f"{line}\n" for line in LINES)
    module = subprocess.run(
        *([sys.executable, "-m", "nmt.export", str(exported)],),
        input=lines,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert module.stdout == call("translate", f"run={run}", cwd=run.parent, given=lines)[0]


def test_the_api_translates_as_with_the_run(run: Path, exported: Path) -> None:
    ours, theirs = nmt.load(exported), nmt.load(run)
    arguments = {"n_best": 2, "beam_size": 4, "prefixes": [""] * len(LINES)}
    for one, other in zip(ours.translate(LINES, **arguments), theirs.translate(LINES, **arguments), strict=True):
        assert [found.text for found in one] == [found.text for found in other]
        assert [found.score for found in one] == pytest.approx([found.score for found in other], abs=1e-4)


def test_eight_bits_are_measured_on_both_sets(run: Path) -> None:
    folder = run.parent / "int8"
    _, log = call("export", f"run={run}", f"output={folder}", "precision=int8", cwd=run.parent)
    assert "BLEU on valid" in log
    assert "BLEU on test" in log
    assert json.loads((folder / "settings.json").read_text())["precision"] == "int8"
    assert b"MatMulInteger" in (folder / "decoder.onnx").read_bytes()
    assert "| valid |" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("search=sampling",), "search.kind=sampling"),
        (("alignments=a.txt", "input=-"), "alignments"),
        (("checkpoint=last",), "checkpoint"),
        (("glossary=a.tsv", "input=-"), "glossary"),
        (("output_format=tsv", "input=-"), "output_format"),
        (("machine.precision=bfloat16",), "machine.precision=bfloat16"),
        (("tgt_lang=fr",), "tgt_lang=fr"),
    ],
)
def test_what_needs_the_run_is_refused(exported: Path, words: tuple[str, ...], message: str) -> None:
    assert message in refused("translate", f"run={exported}", *words, cwd=exported.parent)


def test_tags_are_placed_as_with_the_run(run: Path, exported: Path) -> None:
    text = f"# <b>{LINES[0]}</b>\n\n**{LINES[1].split()[0]}** {' '.join(LINES[1].split()[1:])}\n"
    source = run.parent / "tags.md"
    source.write_text(text)
    for name, folder in (("run.md", run), ("exported.md", exported)):
        call("translate", f"run={folder}", f"input={source}", f"output={run.parent / name}", cwd=run.parent)
    assert (run.parent / "run.md").read_text() == (run.parent / "exported.md").read_text()


def test_an_export_overwrites_nothing(run: Path, exported: Path) -> None:
    assert "exists already" in refused("export", f"run={run}", f"output={exported}", cwd=run.parent)


def test_the_server_serves_it(exported: Path) -> None:
    process = start("serve", f"run={exported}", "port=0", "machine.threads=1", cwd=exported.parent)
    assert process.stderr is not None
    try:
        line = next(line for line in process.stderr if "listening on" in line)
        url = line.split("listening on ")[1].split(" ")[0]
        body = json.dumps({"q": LINES[0], "source": "en", "target": "de"}).encode()
        request = urllib.request.Request(f"{url}/translate", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert "translatedText" in json.load(answer)
        page = json.dumps({"q": LINES[0], "model": 0}).encode()
        request = urllib.request.Request(f"{url}/page/translate", page, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer)["segments"][0]["words"]["confidence"] is None
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.mark.parametrize("keys", MEMBERS, ids=str)
def test_every_member_of_the_family_is_exported_right(keys: dict[str, object]) -> None:
    torch.manual_seed(0)
    config = model_config(**{"embed_size": 8, "hidden_size": 16, **keys})
    model = build_model(config, Vocabulary(24, 24)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    lengths = torch.randint(0, 9, (10, 2)).tolist()
    sentences = [tuple(torch.randint(4, 24, (length,)).tolist() for length in both) for both in lengths]
    graphs = export_graphs(model)
    encoder, decoder = (read_graph(graph, Path("graph.onnx")) for graph in (graphs.encoder, graphs.decoder))
    exported = ExportedModel(encoder, decoder, graphs.state, graphs.attends)
    assert largest_difference(model, exported, sentences) < 1e-5
