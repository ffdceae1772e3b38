"""Integration tests of the human_eval command, and of its campaign in Pearmut itself."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command import call, refused
from simulated_raters import SimulatedRater, fill_sheet, phrasebook_systems

from nmt.lab.judgements.key_file import read_key

pytestmark = pytest.mark.commands

PEARMUT_PYTHON = os.environ.get("NMT_PEARMUT_PYTHON", sys.executable)
"""Interpreter with Pearmut and httpx: Pearmut needs Python 3.12 and is not a dependency of the project."""
PEARMUT_CLIENT = """
import json, sys
from fastapi.testclient import TestClient
from pearmut import cli
cli._add_campaign([sys.argv[1]])
from pearmut.app import app
client, name = TestClient(app), sys.argv[2]
for rater in sys.argv[3:]:
    while True:
        answer = client.post("/get-next-item", json={"campaign_id": name, "user_id": rater})
        answer.raise_for_status()
        answer = answer.json()
        if answer["status"] != "ok":
            break
        items = answer["payload"]
        spans = [{"start_i": 0, "end_i": 2, "severity": "minor", "category": None}]
        annotation = [
            {model: {"score": len(text) % 100, "error_spans": spans} for model, text in item["tgt"].items()}
            for item in items
        ]
        payload = {"item": items, "annotation": annotation, "actions": [{"time": 1.0}]}
        request = {"campaign_id": name, "user_id": rater, "item_i": answer["info"]["item_i"], "payload": payload}
        client.post("/log-response", json=request).raise_for_status()
with open("annotations.json", "wb") as file:
    file.write(client.get("/download-annotations", params={"campaign_id": name}).content)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    src, references, systems = phrasebook_systems(80, (0.2, 0.9))
    lines = {"src": src, "ref": references, "good": systems[0].translations, "bad": systems[1].translations}
    for name, text in lines.items():
        (folder / name).write_text("".join(f"{line}\n" for line in text), encoding="utf-8")
    return folder


def export(files: Path, name: str, kind: str) -> Path:
    systems = ["hyps=[good,bad]", "src=src", "ref=ref", "sentences=20", "repeats=3", "damaged=3"]
    call("human_eval", "export", f"folder={name}", f"kind={kind}", *systems, cwd=files)
    return files / name


@pytest.mark.parametrize("kind", ["da", "pairwise"])
def test_sheets_are_exported_filled_imported_and_scored(kind: str, files: Path, tmp_path: Path) -> None:
    folder = export(files, f"sheets_{kind}", kind)
    design = read_key(folder)
    for number, name in enumerate(["anna", "ben"], 1):
        rater = SimulatedRater(name, number, bias=5 * number, noise=2)
        fill_sheet(folder / f"sheets/rater{number}.csv", design, rater, tmp_path / f"{name}.csv")
    answers = f"answers=[{tmp_path}/anna.csv,{tmp_path}/ben.csv]"
    said, _ = call("human_eval", "import", f"folder={folder}", answers, cwd=files)
    assert f"anna: {len(design.sheets[0])} of {len(design.sheets[0])} items, passed the checks" in said
    shown, _ = call("human_eval", "score", f"folder={folder}", f"output={tmp_path}/out", cwd=files)
    record = json.loads((tmp_path / "out/human_eval.json").read_text())
    assert [(system["name"], system["verdict"]) for system in record["systems"]] == [("good", None), ("bad", "worse")]
    assert "Krippendorff's alpha" in shown
    assert "exists already" in refused("human_eval", "import", f"folder={folder}", answers, cwd=files)
    assert "exists already" in refused("human_eval", "score", f"folder={folder}", f"output={tmp_path}/out", cwd=files)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ((), "give one as the first word: export, import, score"),
        (("foo",), "action is 'foo'; allowed: export, import, score"),
        (("judge", "folder=f"), "action is 'judge'; allowed: export, import, score"),
        (("export", "folder=f"), "runs or hyps"),
        (("export", "folder=f", "hyps=[good]"), "src=FILE ref=FILE"),
        (("export", "folder=f", "hyps=[good]", "src=src", "ref=ref", "kind=pairwise"), "at least two systems"),
        (("export", "folder=f", "hyps=[good]", "src=src", "ref=ref", "ratings=3"), "raters=3"),
        (("export", "folder=.", "hyps=[good]", "src=src", "ref=ref"), "folder=. exists already"),
        (("import", "folder=f"), "answers is empty"),
        (("import", "folder=f", "answers=[a]"), "no key.json"),
        (("score", "folder=f"), "no key.json"),
    ],
)
def test_what_cannot_be_done_is_refused(given: tuple[str, ...], word: str, files: Path) -> None:
    assert word in refused("human_eval", *given, cwd=files)


def test_a_campaign_runs_in_pearmut(files: Path, tmp_path: Path) -> None:
    check = [PEARMUT_PYTHON, "-c", "import pearmut, httpx"]
    if shutil.which(PEARMUT_PYTHON) is None or subprocess.run(check, capture_output=True, cwd=tmp_path).returncode:
        pytest.skip("pearmut and httpx are not installed; set NMT_PEARMUT_PYTHON to a Python 3.12 that has them")
    for kind in ("da", "esa", "pairwise"):
        folder = export(files, f"pearmut_{kind}", kind)
        design = read_key(folder)
        root = tmp_path / kind
        root.mkdir()
        command = [PEARMUT_PYTHON, "-c", PEARMUT_CLIENT, str(folder / "pearmut.json"), folder.name, "rater1", "rater2"]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
        assert done.returncode == 0, done.stderr
        call("human_eval", "import", f"folder={folder}", f"answers=[{root}/annotations.json]", cwd=files)
        with (folder / "ratings.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["item"] for row in rows} == set(design.items)
        for row in rows:
            lengths = [len(side.text) % 100 for side in design.items[row["item"]].shown]
            wanted = lengths[0] if kind != "pairwise" else (lengths[1] > lengths[0]) - (lengths[1] < lengths[0])
            assert float(row["answer"]) == wanted
        assert all(row["errors"].startswith("minor@0: ") for row in rows) == (kind == "esa")
