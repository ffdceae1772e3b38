"""Conversion between a trainer's state dict and the three files of a checkpoint."""

from typing import Any

from torch import Tensor

from nmt.run import Checkpoint, not_finite

JSON_KEYS = ("processes", "progress", "position", "schedule")
"""Keys of the state dict that are numbers, and go to `state.json`."""


def to_checkpoint(state: dict[str, Any], scheduled: bool, run_id: str) -> Checkpoint:
    """Return the checkpoint of a state dict.

    Its weights are those to translate with: the average if there is one. The weights in training are then tensors
    `weights.NAME` beside `optimizer.NAME` and `random.NAME`.

    Args:
        state: what `Trainer.state_dict` returns.
        scheduled: false if only an interruption makes it.
        run_id: identity of the run.
    """
    groups = {"optimizer": state["optimizer"], "random": state["random"]}
    if state["average"]:
        groups["weights"] = state["model"]
    tensors = {f"{group}.{name}": value for group, values in groups.items() for name, value in values.items()}
    values = {"processes": state["processes"], "scheduled": scheduled} | {key: state[key] for key in JSON_KEYS}
    return Checkpoint(state["progress"]["step"], state["average"] or state["model"], tensors, values, run_id)


def from_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the state dict of a checkpoint, which may come from another person.

    Raises:
        ValueError: a number is not finite.
        LookupError: a key is missing or unknown.
    """
    if name := not_finite(checkpoint.state):
        raise ValueError(f"{name!r} is not a finite number")
    groups: dict[str, dict[str, Tensor]] = {"optimizer": {}, "random": {}, "weights": {}}
    for key, value in checkpoint.tensors.items():
        group, name = key.split(".", 1)
        groups[group][name] = value
    return {
        "model": groups["weights"] or checkpoint.weights,
        "average": checkpoint.weights if groups["weights"] else {},
        "optimizer": groups["optimizer"],
        "random": groups["random"],
        "processes": 1,  # checkpoints of versions before distributed training have no such key
        **{key: checkpoint.state[key] for key in JSON_KEYS if key != "processes" or key in checkpoint.state},
    }
