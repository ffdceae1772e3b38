"""The best trial of a sweep as an experiment file."""

from typing import Any

from hydra import compose
from omegaconf import OmegaConf

from nmt.config import Config, with_values
from nmt.lab.sweep import SweepDirectory, best_trial

GROUPS = ("data", "model", "optim", "search")
PARTS = (*GROUPS, "train", "seed")
"""Keys that make a training; on what machine, and who is told, is left to whoever runs it."""


def write_experiment(sweep: SweepDirectory) -> None:
    """Writes experiment/best.yaml: the groups' files that the sweep was given, and every value that differs from them.

    It composes to the configuration of the best trial; nothing is written while there is none.
    """
    asked = sweep.config()
    best = best_trial(sweep.trials(), asked.train.metric)
    if best is None:
        return
    chosen = {group: sweep.groups()[group] for group in GROUPS}
    plain = as_tree(compose("train", overrides=[f"{group}={name}" for group, name in chosen.items()]))
    wanted = as_tree(with_values(asked.base(), best.parameters))
    values = {part: difference(wanted[part], plain[part]) for part in PARTS if wanted[part] != plain[part]}
    question = f"# What did the sweep {sweep.path.name} find best, in trial {best.number}, by train.metric?"
    groups = [{f"override /{group}": name} for group, name in chosen.items()]
    text = OmegaConf.to_yaml(OmegaConf.create({"defaults": groups, **values}))
    path = sweep.path / "experiment" / "best.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"# @package _global_\n{question}\n{text}", encoding="utf-8")


def as_tree(config: Any) -> dict[str, Any]:
    """All values of a configuration, without its checks: a corpus of one's own has no folder yet."""
    tree = OmegaConf.merge(OmegaConf.structured(Config), config)
    container = OmegaConf.to_container(tree, resolve=True, enum_to_str=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def difference(wanted: Any, plain: Any) -> Any:
    """What has to be said to make of one tree another."""
    if not (isinstance(wanted, dict) and isinstance(plain, dict)):
        return wanted
    return {key: difference(wanted[key], plain.get(key)) for key in wanted if wanted[key] != plain.get(key, ...)}
