"""Registration of a user's own parts of a model or a training under names that the configuration accepts."""

from collections.abc import Callable

from nmt.config import ATTENTIONS, CELLS, OBJECTIVES, TrainConfig
from nmt.errors import UserError
from nmt.models.attention import Attention
from nmt.models.layers.recurrent import RecurrentLayer
from nmt.training.objectives.likelihood import Objective


def register_cell(name: str, cell: type[RecurrentLayer]) -> None:
    """Make a recurrent layer available as `model.cell=NAME`.

    Args:
        name: lower-case letters, digits and '_'.
        cell: subclass of `nmt.models.layers.cells.StepwiseLayer`, of `ElementwiseLayer` or of `RecurrentLayer`, made by
            `cell(input_size, hidden_size, zoneout=(...))`.

    Raises:
        UserError: the name cannot be used, or the class is not a recurrent layer.
    """
    check_subclass(cell, RecurrentLayer, "cell")
    CELLS.register(name, cell)


def register_attention(name: str, attention: type[Attention]) -> None:
    """Make an attention of the recurrent decoder available as `model.attention=NAME`.

    Args:
        name: lower-case letters, digits and '_'.
        attention: subclass of `nmt.models.attention.Attention`, made by `attention(config, hidden_size)` with a
            `ModelConfig`.

    Raises:
        UserError: the name cannot be used, or the class is not an attention.
    """
    check_subclass(attention, Attention, "attention")
    ATTENTIONS.register(name, attention)


def register_objective(name: str, objective: Callable[[TrainConfig], Objective]) -> None:
    """Make a training objective available as `train.objective=NAME`.

    Args:
        name: lower-case letters, digits and '_'.
        objective: function or class that is called with the `TrainConfig` and returns an objective, which maps a model
            and a batch to an `nmt.training.objectives.likelihood.ObjectiveOutput`.

    Raises:
        UserError: the name cannot be used, or the objective cannot be called.
    """
    if not callable(objective):
        raise UserError(f"register_objective: {objective!r:.80} cannot be called; give a function or a class")
    OBJECTIVES.register(name, objective)


def check_subclass(part: object, base: type, noun: str) -> None:
    """Raise a UserError unless `part` is a subclass of `base`."""
    if not (isinstance(part, type) and issubclass(part, base)):
        raise UserError(f"register_{noun}: {part!r:.80} is not a subclass of {base.__module__}.{base.__name__}")
