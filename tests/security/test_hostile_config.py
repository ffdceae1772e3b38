"""Configurations that would run code, read the environment or fill the memory: they are refused without effect."""

from pathlib import Path
from typing import Any

import pytest

from nmt.config import Config, from_hydra, load_config, save_config, user_path
from nmt.errors import UserError
from nmt.lab.sweep.trials import SweepDirectory
from nmt.run import RunDirectory

SECRET = "a-password-of-somebody"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", SECRET)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"data": {"phrasebook": {"train": 10**12}}}, "data.phrasebook.train"),
        ({"data": {"phrasebook": {"test": 10**8}}}, "data.phrasebook.test"),
        ({"data": {"phrasebook": {"train": -1}}}, "data.phrasebook.train"),
        ({"data": {"phrasebook": {}}, "model": {"hidden_size": 10**12}}, "model.hidden_size"),
        ({"data": {"phrasebook": {}, "tokenizer": {"vocab_size": 10**12}}}, "data.tokenizer.vocab_size"),
        ({"data": {"phrasebook": {}}, "search": {"beam_size": 10**12}}, "search.beam_size"),
        ({"data": {"phrasebook": {}}, "search": {"batch_size": 10**12}}, "search.batch_size"),
        ({"data": {"phrasebook": {}, "max_pieces": 10**12}}, "data.max_pieces"),
        ({"data": {"phrasebook": {}, "cleaning": {"max_words": 10**12}}}, "data.cleaning.max_words"),
        ({"data": {"phrasebook": {}, "cleaning": {"max_characters": 10**12}}}, "data.cleaning.max_characters"),
        ({"data": {"phrasebook": {}, "workers": 10**6}}, "data.workers"),
        ({"data": {"phrasebook": {}}, "optim": {"betas": [0.9, []]}}, "optim.betas holds a list"),
        ({"data": {"phrasebook": {}, "train": {"src": [["a"]]}}}, "data.train.src holds a list"),
        ({"data": {"phrasebook": {}}, "seed": 10**5000}, "seed is too large"),
    ],
)
def test_sizes_have_limits(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(UserError, match=word):
        from_hydra(Config, settings)


@pytest.mark.parametrize("given", ["~nosuchuser", "~nosuchuser/x", "x" * 5000, "a\0b", "\ud800/x"])
def test_a_path_that_cannot_be_is_a_users_mistake(given: str) -> None:
    for use in (user_path, RunDirectory.open, SweepDirectory.open):
        with pytest.raises(UserError, match="not a usable path") as error:
            use(given)
        assert "\n" not in str(error.value)


def saved(folder: Path, before: str, after: str) -> Path:
    """Write a run's configuration with one text replaced."""
    path = folder / "config.yaml"
    save_config(Config(), path)
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    return path


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("name: corpus", "name: ${oc.env:SECRET}"),
        ("name: corpus", "name: ${oc.decode:${oc.env:SECRET}}"),
        ("name: corpus", "name: ${seed}"),
        ("name: corpus", 'name: "\\x24{oc.env:SECRET}"'),
        ("name: corpus", "${oc.env:SECRET}: corpus"),
        ("seed: 1", "seed: ${oc.env:SECRET}"),
        ("seed: 1", "seed: !!python/object/apply:os.mkdir [made]"),
        ("seed: 1", "seed: !!int '1'"),
        ("seed: 1", "seed: &x 1\nmore: *x"),
        ("seed: 1", "seed: 1\n_target_: os.mkdir"),
        ("seed: 1", "seed: 1\nhydra: {callbacks: {x: {_target_: os.mkdir}}}"),
        ("seed: 1", "seed: " + "[" * 5000),
        ("seed: 1", "seed: " + "9" * 10_000),
        ("seed: 1", "seed: 0x" + "f" * 5000),
        ("seed: 1", "seed: 1" + ":1" * 20_000),
        ("seed: 1", "seed: 1" + ":1" * 20_000 + ".5"),
        ("seed: 1", "seed: .nan"),
        ("seed: 1", '"a\\nb": 1'),
        ("seed: 1", "seed: 1 #" + "x" * (1 << 20)),
        ("layers: 1", "layers: 1000000000"),
        ("hidden_size: 512", "hidden_size: 1000000000"),
        ("threads: null", "threads: 1000000"),
        ("name: corpus", 'name: "\\e]0;title\\a"'),
        ("name: corpus", 'name: "a\\0b"'),
        ("src_lang: en", "src_lang: en/../../x"),
        ("src: []", 'src: ["a\\nb"]'),
    ],
    ids=range(26),
)
def test_a_run_holds_values_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str, after: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"config\.yaml") as error:
        load_config(Config, saved(tmp_path, before, after))
    assert SECRET not in str(error.value)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == [tmp_path / "config.yaml"]


def test_what_a_run_could_not_read_again_is_refused_at_once() -> None:
    with pytest.raises(UserError, match=r"data\.name holds"):
        from_hydra(Config, {"data": {"phrasebook": {}, "name": "\\${oc.env:SECRET}"}})


@pytest.mark.parametrize(
    "settings",
    [
        {"train": {"src": "${seed}", "tgt": "${seed}"}},
        {"train": "${seed}"},
        {"cleaning": "${data.name}"},
        {"phrasebook": "${data.train}"},
        {"max_pieces": "${data.name}"},
        {"train": {"src": ["${data.train}"]}},
    ],
    ids=range(6),
)
def test_a_reference_is_of_the_type_of_its_place(settings: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        from_hydra(Config, {"data": {"phrasebook": {}} | settings})


def test_aliases_do_not_multiply(tmp_path: Path) -> None:
    """Each line refers ten times to the line before: nine lines expand to a thousand million values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    path = tmp_path / "config.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(UserError, match="line 2"):
        load_config(Config, path)
