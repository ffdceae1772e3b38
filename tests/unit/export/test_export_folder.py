"""Exported folders: damage, other versions, strange files, and translation without torch."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from exported import export
from toy_translator import PAIRS, build

from nmt.config import MachineConfig, Precision, SearchConfig
from nmt.data import Tokenizer
from nmt.errors import UserError
from nmt.export import ExportedFolder, ExportedTranslator, exported_translator, is_export, open_export
from nmt.export.folder import SUMS, write_sums

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def made(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(build(tokenizer), tmp_path_factory.mktemp("made") / "toy").path


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "toy"))


def change_settings(folder: Path, **values: object) -> None:
    path = folder / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    write_sums(folder)


def test_sha256sum_reads_the_checksums(folder: Path) -> None:
    for line in (folder / SUMS).read_text().strip().split("\n"):
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    subprocess.run(["sha256sum", "-c", "--quiet", SUMS], cwd=folder, check=True)


def cut(folder: Path) -> None:
    (folder / "decoder.onnx").write_bytes((folder / "decoder.onnx").read_bytes()[:-1])


def add_file(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"weights")


def add_folder(folder: Path) -> None:
    (folder / "src.form.json").mkdir()


def link(folder: Path) -> None:
    os.replace(folder / "encoder.onnx", folder.parent / "encoder.onnx")
    (folder / "encoder.onnx").symlink_to(folder.parent / "encoder.onnx")


def remove(folder: Path) -> None:
    (folder / "tgt.model").unlink()


def name_weights(folder: Path) -> None:
    path = folder / "encoder.onnx"
    path.write_bytes(path.read_bytes() + b"\x0a\x08location")
    write_sums(folder)


def other_vocabulary(folder: Path) -> None:
    change_settings(folder, tgt_size=7)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, r"decoder.onnx was changed or is damaged"),
        (add_file, r"weights.bin is not a file of an export; remove it"),
        (add_folder, r"src.form.json is not a file of an export"),
        (link, r"encoder.onnx is not a file of an export"),
        (remove, r"has no tgt.model"),
        (name_weights, r"names other files with its weights"),
        (other_vocabulary, r"does not fit|another vocabulary"),
        (lambda folder: change_settings(folder, format=2), r"toy is an export of format 2, this version reads 1"),
        (lambda folder: change_settings(folder, state=[]), r"settings.json is damaged"),
        (lambda folder: change_settings(folder, search={"kind": "beam"}), r"settings.json is damaged"),
        (lambda folder: change_settings(folder, step=True), r"settings.json is damaged"),
        (lambda folder: (folder / SUMS).write_text("nothing"), r"SHA256SUMS is damaged"),
    ],
)
def test_damage_is_refused(folder: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(folder)
    with pytest.raises(UserError, match=message):
        ExportedTranslator(ExportedFolder(folder))


def test_settings_survive_the_file(folder: Path) -> None:
    settings = ExportedFolder(folder).settings
    assert type(settings).from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_hardware_that_the_folder_does_not_support_is_refused(folder: Path) -> None:
    opened, search = ExportedFolder(folder), SearchConfig()
    assert exported_translator(opened, MachineConfig(threads=3), search).threads == 3
    for machine in (MachineConfig(device="cuda"), MachineConfig(precision=Precision.int8)):
        with pytest.raises(UserError, match=r"machine\."):
            exported_translator(opened, machine, search)


def test_other_folders_are_not_exports(tmp_path: Path) -> None:
    assert not is_export(tmp_path)
    with pytest.raises(UserError, match=r"is not an exported folder"):
        open_export(str(tmp_path))
    with pytest.raises(UserError, match=r"does not exist"):
        open_export(str(tmp_path / "none"))


@pytest.mark.parametrize("module", ["nmt.serving.app", "nmt.cli.app.export_translation"])
def test_the_server_and_documents_do_not_load_torch(module: str) -> None:
    code = f"import sys, {module}\nprint('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_translation_loads_neither_torch_nor_hydra(made: Path) -> None:
    code = "import sys\n"
    code += "from nmt.export.__main__ import main\nassert main(sys.argv[1:]) == 0\n"
    code += "print(*sorted({'torch', 'hydra', 'onnx', 'sacrebleu', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    lines = "".join(f"{pair.en}\n" for pair in PAIRS[:2])
    command = [sys.executable, "-c", code, str(made)]
    run = subprocess.run(command, input=lines, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stderr.strip() == ""
    assert [found[0].text for found in ExportedTranslator(open_export(str(made))).translate(lines.split("\n")[:2])] == (
        run.stdout.strip("\n").split("\n")
    )
