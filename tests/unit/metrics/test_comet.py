"""COMET's door, with a module in its place that has the functions of unbabel-comet 2.2."""

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nmt.errors import UserError
from nmt.metrics import Comet
from nmt.metrics.comet import WEIGHTS_ONLY

SRC, HYPOTHESES, REFERENCES = ["a", "bb", "ccc", "d"], ["A", "BB", "C", ""], ["A", "BB", "CCC", "D"]


class Model:
    """Stand-in model that scores a translation by its length."""

    def __init__(self, path: str) -> None:
        self.path = path

    def predict(self, samples: list[dict[str, str]], batch_size: int, gpus: int, progress_bar: bool) -> Any:
        self.received = samples, gpus
        scores = [len(sample["mt"]) / len(sample["ref"]) for sample in samples]
        return SimpleNamespace(scores=scores, system_score=sum(scores) / len(scores))


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """COMET scores, with a stand-in module that has the functions of unbabel-comet 2.2."""
    monkeypatch.setenv(WEIGHTS_ONLY, "1")  # so that the change by the module is undone
    monkeypatch.delenv(WEIGHTS_ONLY)
    stub: Any = ModuleType("comet")

    def download_model(model: str) -> str:
        if model != "Some/model":
            raise KeyError(f"Model '{model}' not supported by COMET.")
        return "/hub/model.ckpt"

    stub.download_model, stub.load_from_checkpoint = download_model, Model
    monkeypatch.setitem(sys.modules, "comet", stub)
    return stub


def test_the_score_is_the_mean_over_sentences_with_its_interval() -> None:
    metric = Comet("Some/model", gpu=False)
    score = metric(SRC, HYPOTHESES, REFERENCES, {"test": "wmt14", "lang": "en-de"})
    assert metric.model.path == "/hub/model.ckpt"
    expected = [{"src": s, "mt": h, "ref": r} for s, h, r in zip(SRC, HYPOTHESES, REFERENCES, strict=True)]
    assert metric.model.received == (expected, 0)
    assert score.score == pytest.approx((1 + 1 + 1 / 3 + 0) / 4)
    assert score.sentences == pytest.approx([1, 1, 1 / 3, 0])
    assert set(score.record()) == {"score", "signature", "interval"}
    low, high = score.interval
    assert 0 <= low < score.score < high <= 1
    known = "nrefs:1|test:wmt14|lang:en-de|model:Some/model|library:unbabel-comet|version:"
    assert score.signature.startswith(known)


def test_a_checkpoint_file_is_loaded_without_asking_the_hub(tmp_path: Path) -> None:
    assert Comet(str(tmp_path / "own.ckpt"), gpu=True).model.path == str(tmp_path / "own.ckpt")


def test_torch_is_told_to_load_tensors_alone_unless_the_user_decided_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Comet("Some/model", gpu=False)
    assert os.environ[WEIGHTS_ONLY] == "1"
    monkeypatch.setenv(WEIGHTS_ONLY, "0")
    Comet("Some/model", gpu=False)
    assert os.environ[WEIGHTS_ONLY] == "0"


def refusal(model: str) -> str:
    with pytest.raises(UserError) as error:
        Comet(model, gpu=False)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_package_that_is_not_installed_is_told_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "comet", None)
    assert "pip install 'nmt-recurrent[comet]'" in refusal("Some/model")


def test_a_model_that_cannot_be_had_is_told_in_one_line(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "comet=Other/model cannot be loaded: Model 'Other/model' not supported by COMET." in refusal("Other/model")

    def refuse(path: str) -> None:
        raise RuntimeError("Weights only load failed.\nThis file can still be loaded, to do so ...")

    monkeypatch.setattr(module, "load_from_checkpoint", refuse)
    assert f"Weights only load failed. (set {WEIGHTS_ONLY}=0 to unpickle it, which can execute code in it)" in refusal(
        "Some/model"
    )
