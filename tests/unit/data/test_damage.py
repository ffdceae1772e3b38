"""Random damage to the files of a run and of a prepared corpus: each is detected and reported in one line."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from shapes import model_config

from nmt.config import Config, DataConfig, PhrasebookConfig, TokenizerConfig
from nmt.data import Prepared, prepare
from nmt.errors import UserError
from nmt.models import Vocabulary, build_model
from nmt.run import (
    Checkpoint,
    RunDirectory,
    go_back,
    load_checkpoint,
    load_weights,
    newest_intact,
    save_checkpoint,
)

pytestmark = pytest.mark.commands


def config(cache: Path) -> Config:
    corpus = PhrasebookConfig(train=150, valid=4, test=4)
    data = DataConfig(phrasebook=corpus, cache=str(cache), tokenizer=TokenizerConfig(vocab_size=150))
    return Config(data=data, model=model_config(embed_size=4, hidden_size=4))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run of two checkpoints and the cache of its corpus."""
    folder = tmp_path_factory.mktemp("original")
    run = RunDirectory(folder / "run")
    run.create(config(folder / "cache"), prepare(config(folder / "cache").data))
    for step, links in ((10, ["last", "best"]), (20, ["last"])):
        torch.manual_seed(step)
        model = build_model(config(folder).model, Vocabulary(150, 150))
        kept = Checkpoint(step, dict(model.named_parameters()), {"random.cpu": torch.get_rng_state()}, {"n": step})
        kept.run = run.identity
        save_checkpoint(run.checkpoints, kept, links)
    return folder


def use(folder: Path) -> None:
    """Read all files that a resumed training, an evaluation and a translation read."""
    run = RunDirectory.open(str(folder / "run"))  # this also checks the bytes of the configuration
    for side in ("src", "tgt"):
        run.tokenizer(side)
    for split in ("valid", "test"):
        run.text(split)
    load_checkpoint(run.checkpoints, "last", run.identity)
    load_weights(run.checkpoints, "best", run.identity)
    prepared = Prepared(prepared_folder(folder))
    prepared.check()
    prepared.store("train")


def prepared_folder(folder: Path) -> Path:
    (prepared,) = (path for path in (folder / "cache" / "prepared").iterdir() if path.is_dir())
    return prepared


def truncate(content: bytes, source: random.Random) -> bytes:
    return content[: source.randrange(len(content))]


def flip(content: bytes, source: random.Random) -> bytes:
    position = source.randrange(len(content))
    return content[:position] + bytes([content[position] ^ 1 << source.randrange(8)]) + content[position + 1 :]


def overwrite(content: bytes, source: random.Random) -> bytes:
    """Replace the end of a file with zeros or noise, as after an incomplete write."""
    start = source.randrange(len(content))
    tail = bytes(len(content) - start) if source.random() < 0.5 else source.randbytes(len(content) - start)
    return content[:start] + tail


@pytest.mark.parametrize("part", range(4))
def test_a_thousand_random_damages_are_all_noticed(original: Path, tmp_path: Path, part: int) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(original, folder, symlinks=True)
    prepared, run = prepared_folder(folder), folder / "run"
    files = [run / "config.yaml", run / "run.json", *(run / "tokenizer").iterdir(), *(run / "data").iterdir()]
    files += [*prepared.iterdir(), *(run / "checkpoints").glob("step-*/*")]
    # Of `best`, only weights and manifest are used; the sha256.json of the corpus may differ in white space.
    unused = {run / "checkpoints" / "step-00000010" / name for name in ("state.json", "state.safetensors")}
    files = sorted(path for path in files if path not in unused)
    use(folder)
    source = random.Random(part)
    damages: list[Callable[[bytes, random.Random], bytes]] = [truncate, flip, overwrite]
    for _ in range(250):
        file = source.choice(files)
        whole = file.read_bytes()
        damaged = source.choice(damages)(whole, source)
        file.write_bytes(damaged)
        if damaged != whole and not (file.suffix == ".json" and damaged.split() == whole.split()):
            with pytest.raises(UserError) as error:
                use(folder)
            assert "\n" not in str(error.value)
            assert str(folder) in str(error.value)
        file.write_bytes(whole)
    use(folder)


def test_a_file_of_another_run_is_noticed(original: Path, tmp_path: Path) -> None:
    """A valid file of another run is detected."""
    run = RunDirectory.open(str(original / "run"))
    with pytest.raises(UserError, match="belongs to another run"):
        load_checkpoint(run.checkpoints, "last", "another")
    with pytest.raises(UserError, match="belongs to another run"):
        load_weights(run.checkpoints, "best", "another")
    copy = tmp_path / "copy"
    shutil.copytree(run.path, copy, symlinks=True)
    (copy / "tokenizer" / "src.model").write_bytes((copy / "tokenizer" / "src.model").read_bytes() + b"\n")
    with pytest.raises(UserError, match=r"src\.model was changed or is damaged"):
        RunDirectory.open(str(copy))


def test_the_newest_whole_checkpoint_is_found_and_taken(original: Path, tmp_path: Path) -> None:
    shutil.copytree(original / "run", tmp_path / "run", symlinks=True)
    run = RunDirectory.open(str(tmp_path / "run"))
    assert newest_intact(run.checkpoints, run.identity) == 20
    (run.checkpoints / "last" / "state.json").write_text("{}")
    assert newest_intact(run.checkpoints, run.identity) == 10
    go_back(run.checkpoints, 10)
    assert load_checkpoint(run.checkpoints, "last", run.identity).step == 10
    assert not (run.checkpoints / "step-00000020").exists()
    (run.checkpoints / "last" / "manifest.json").unlink()
    assert newest_intact(run.checkpoints, run.identity) is None
