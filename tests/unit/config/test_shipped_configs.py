"""Every YAML file under conf/ composes with Hydra, passes validation and has a comment that describes it."""

import dataclasses
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose
from omegaconf import DictConfig, OmegaConf

from nmt.cli.app import SCHEMAS
from nmt.config import (
    EvaluateConfig,
    LengthPenalty,
    SearchConfig,
    SearchKind,
    TranslateConfig,
    conf_dir,
    from_hydra,
    load_config,
    save_config,
    with_search,
)
from nmt.errors import UserError

CONF = Path(conf_dir())
YAML = {path: path.read_text(encoding="utf-8") for path in sorted(CONF.rglob("*.yaml"))}
OF_A_RUN = ("evaluate", "translate", "distil", "diagnose")
EXPERIMENTS = sorted(CONF.glob("experiment/*.yaml"))


pytestmark = pytest.mark.usefixtures("composing")


@cache
def composed(command: str, *overrides: str) -> DictConfig:
    """Compose a configuration with Hydra, adding a corpus, run, task or files where they are required."""
    cfg = compose(command, overrides=list(overrides))
    if "data" in cfg and not any(cfg.data.get(source) for source in ("root", "download", "phrasebook")):
        cfg.data.root = "corpus"
    if command in (*OF_A_RUN, "report"):
        cfg.run = "runs/one"
    if command == "distil":
        cfg.output = "corpus"
    if command == "compare":
        cfg.runs = ["runs/one"]
    if command == "benchmark":
        cfg.task = "checkpoint"
    if command == "score":
        cfg.hyp, cfg.ref = "translations", "references"
    if command == "diagnose":
        cfg.task, cfg.sentence = "attention", "The door is open."
    return cfg


def checked(command: str, *overrides: str) -> Any:
    if command in OF_A_RUN:
        return with_search(SCHEMAS[command], composed(command, *overrides), SearchConfig())[0]
    return from_hydra(SCHEMAS[command], composed(command, *overrides))


def groups_of(command: str) -> set[str]:
    """Return the groups in the defaults list of a root configuration."""
    entries = yaml.safe_load(YAML[CONF / f"{command}.yaml"])["defaults"]
    return {key for entry in entries if isinstance(entry, dict) for key in entry if not key.startswith("override ")}


def choices() -> Iterator[tuple[str, ...]]:
    """Yield each command with each option of its groups; groups without a command are added to `train`."""
    groups = {command: groups_of(command) for command in SCHEMAS}
    for path in YAML:
        group, option = path.parent.name, path.stem
        if path.parent == CONF:
            yield (option,)
        elif path.parent.parent.name == "hydra":
            yield "train", f"hydra/{group}={option}"
        elif commands := [command for command in SCHEMAS if group in groups[command]]:
            yield from ((command, f"{group}={option}") for command in commands)
        elif group != "questions":  # whose rows tests/unit/lab/questions/test_question_runs.py composes
            yield "train", f"+{group}={option}"


def test_the_files_are_found() -> None:
    assert CONF.is_absolute()
    assert {path.stem for path in CONF.glob("*.yaml")} == set(SCHEMAS)
    assert EXPERIMENTS


def once_each() -> Iterator[Any]:
    """Yield each command and each file once; the slower tests add the files with the other commands of their group."""
    seen = set()
    for choice in choices():
        again = len(choice) > 1 and choice[1] in seen
        yield pytest.param(choice, id=" ".join(choice), marks=[pytest.mark.commands] * again)
        seen.add(choice[-1])


@pytest.mark.parametrize("choice", list(once_each()))
def test_every_shipped_file_composes_and_passes_its_checks(choice: tuple[str, ...]) -> None:
    assert isinstance(checked(*choice), SCHEMAS[choice[0]])


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_says_which_question_it_answers(path: Path) -> None:
    package, question = YAML[path].split("\n")[:2]
    assert package == "# @package _global_"
    assert question.startswith("# ")
    assert question.endswith("?")


def test_an_experiment_beats_the_groups_and_the_command_line_beats_both() -> None:
    assert checked("train").model == checked("train", "model=lstm").model
    small = checked("train", "model=lstm_small").model
    assert checked("train", "experiment=phrasebook").model == small != checked("train").model
    wider = checked("train", "experiment=phrasebook", "model.embed_size=64").model
    assert wider == dataclasses.replace(small, embed_size=64)


@pytest.mark.parametrize("corpus", ["files", "multi30k", "multi30k_tok", "tatoeba"])
def test_the_other_direction_of_a_corpus_swaps_its_files(corpus: str) -> None:
    forth = checked("prepare", f"data={corpus}").data
    languages = (f"data.src_lang={forth.tgt_lang}", f"data.tgt_lang={forth.src_lang}")
    back = checked("prepare", f"data={corpus}", *languages).data
    for split in ("train", "valid", "test"):
        one, other = getattr(forth, split), getattr(back, split)
        assert (one.src, one.tgt) == (other.tgt, other.src)
        assert one.src != one.tgt


@pytest.mark.parametrize("corpus", ["multi30k", "multi30k_tok"])
def test_a_download_has_the_digest_of_every_file_it_names(corpus: str) -> None:
    data = checked("prepare", f"data={corpus}").data
    named = {path for files in (data.train, data.valid, data.test) for path in [*files.src, *files.tgt]}
    assert named == set(data.download.sha256)


def test_as_trained_leaves_every_search_setting_to_the_run() -> None:
    values = yaml.safe_load(YAML[CONF / "search" / "as_trained.yaml"])
    assert values == {field.name: "???" for field in dataclasses.fields(SearchConfig)}


def test_search_takes_the_runs_values_where_none_is_given() -> None:
    trained = SearchConfig(beam_size=7, alpha=0.4, batch_size=9, length_penalty=LengthPenalty.gnmt)
    command, search = with_search(TranslateConfig, composed("translate", "checkpoint=last"), trained)
    assert search == trained
    assert (command.run, command.checkpoint) == ("runs/one", "last")
    _, search = with_search(EvaluateConfig, composed("evaluate", "search.alpha=0", "search.n_best=2"), trained)
    assert search == dataclasses.replace(trained, alpha=0.0, n_best=2)
    _, search = with_search(EvaluateConfig, composed("evaluate", "search=greedy"), trained)
    assert search == dataclasses.replace(trained, kind=SearchKind.greedy, beam_size=1)
    assert checked("train", "search=beam").search == SearchConfig()


@pytest.mark.parametrize(
    ("command", "override", "key"),
    [
        ("train", "+model.hiden_size=3", "model.hiden_size"),
        ("train", "+sed=3", "sed"),
        ("evaluate", "+search.beam_sze=2", "search.beam_sze"),
        ("translate", "+imput=text.txt", "imput"),
    ],
)
def test_a_misspelt_key_that_plus_let_through_is_refused(command: str, override: str, key: str) -> None:
    with pytest.raises(UserError, match=rf"^configuration key {key}: Key '{key.rpartition('.')[2]}' not in"):
        checked(command, override)


def test_a_saved_run_has_every_value_and_nothing_left_to_interpolate(tmp_path: Path) -> None:
    config = checked("train", "experiment=multi30k_en_de")
    save_config(config, tmp_path / "config.yaml")
    assert load_config(SCHEMAS["train"], tmp_path / "config.yaml") == config
    saved = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    assert saved["data"]["train"]["src"] == ["data/task1/raw/train.en.gz"]
    assert saved["optim"]["betas"] == [0.9, 0.98]  # stated in no YAML: a later version may have another default
    assert OmegaConf.create(saved) == OmegaConf.load(tmp_path / "config.yaml")
