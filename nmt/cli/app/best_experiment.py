"""Export of the best trial of a sweep as an experiment file."""

from typing import Any

from hydra import compose
from omegaconf import OmegaConf

from nmt.config import Config, with_kinds, with_values
from nmt.lab.sweep.trials import SweepDirectory, best_trial

GROUPS = ("data", "model", "model/encoder", "model/decoder", "optim", "search")
PARTS = ("data", "model", "optim", "search", "train", "seed")
"""Keys that define a training. Those of the machine and of tracking are left to the user of the file."""


def write_experiment(sweep: SweepDirectory) -> None:
    """Write experiment/best.yaml: the sweep's choices of files, and every value that differs from those files.

    The file composes to the configuration of the best trial. It is not written while no trial is complete.
    """
    config = sweep.config()
    best = best_trial(sweep.trials(), config.train.metric)
    if best is None:
        return
    files = {group: sweep.groups()[group] for group in GROUPS if group in sweep.groups()}
    base = as_tree(compose("train", overrides=[f"{group}={name}" for group, name in files.items()]))
    target = as_tree(with_values(config.base(), best.parameters))
    values = {part: difference(target[part], base[part]) for part in PARTS if target[part] != base[part]}
    question = f"# Which values did the sweep {sweep.path.name} find best by train.metric, in trial {best.number}?"
    groups = [{f"override /{group}": name} for group, name in files.items()]
    text = OmegaConf.to_yaml(OmegaConf.create({"defaults": groups, **values}))
    path = sweep.path / "experiment" / "best.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"# @package _global_\n{question}\n{text}", encoding="utf-8")


def as_tree(config: Any) -> dict[str, Any]:
    """Return all values of a configuration without its checks: a corpus of the user's own has no folder yet."""
    plain = OmegaConf.to_container(OmegaConf.structured(config))
    tree = OmegaConf.merge(with_kinds(Config, [plain]), plain)
    container = OmegaConf.to_container(tree, resolve=True, enum_to_str=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def difference(target: Any, base: Any) -> Any:
    """Return the part of the tree `target` that has to be set to turn the tree `base` into it."""
    if not (isinstance(target, dict) and isinstance(base, dict)):
        return target
    return {key: difference(target[key], base.get(key)) for key in target if target[key] != base.get(key, ...)}
