"""Named parts of a model, and parameters that are not trained.

A frozen parameter gets no gradient. Optimizer, clipping and weight decay skip parameters without one.
"""

import logging
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from torch import nn

from nmt.errors import UserError
from nmt.models import Seq2Seq

PARTS: dict[str, tuple[str, str]] = {
    "encoder": ("encoder.*", "encoder.embedding.*"),
    "decoder": ("decoder.*", "decoder.embedding.*"),
    "src_embedding": ("encoder.embedding.*", ""),
    "tgt_embedding": ("decoder.embedding.*", ""),
    "embeddings": ("*coder.embedding.*", ""),
    "output": ("output_*", ""),
}
"""Pattern of the parameter names of each part, and pattern of the names among them that are not of this part."""

log = logging.getLogger(__name__)


def in_part(name: str, part: str) -> bool:
    """Return whether a parameter name belongs to a part, or matches `part` as a pattern with `*`, `?` and `[...]`."""
    included, excluded = PARTS.get(part, (part, ""))
    return fnmatchcase(name, included) and not fnmatchcase(name, excluded)


def names_by_parameter(model: nn.Module) -> dict[str, list[str]]:
    """Return all names of each parameter, by the first of them; parameters with shared weights have several names."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return {same[0]: same for same in names.values()}


def selected(model: nn.Module, parts: Sequence[str], key: str) -> list[str]:
    """Return the first names of the parameters that `parts` select.

    Args:
        model: the model.
        parts: names of `PARTS`, or patterns of parameter names.
        key: configuration key of `parts`, for the message.

    Raises:
        UserError: one of them selects nothing.
    """
    names = names_by_parameter(model)
    for part in parts:
        if not any(in_part(name, part) for same in names.values() for name in same):
            raise UserError(
                f"{key} has {part!r}, which is neither a part of this model ({', '.join(PARTS)}) nor a pattern that "
                f"matches a parameter name, such as 'decoder.*' or {list(names)[-1]!r}"
            )
    return [first for first, same in names.items() if any(in_part(name, part) for name in same for part in parts)]


def frozen_names(model: nn.Module, parts: Sequence[str]) -> list[str]:
    """Return the names of the parameters that `train.freeze` selects.

    Raises:
        UserError: a part selects nothing, or no parameter is left to train.
    """
    frozen = selected(model, parts, "train.freeze")
    if len(frozen) == len(list(model.parameters())):
        raise UserError(f"train.freeze=[{','.join(parts)}] leaves no parameter to train; freeze fewer parts")
    return frozen


def freeze(model: Seq2Seq, parts: Sequence[str]) -> None:
    """Exclude the selected parameters from training, and log their number.

    Raises:
        UserError: as `frozen_names`.
    """
    if not parts:
        return
    names, parameters = names_by_parameter(model), dict(model.named_parameters())
    frozen = frozen_names(model, parts)
    for name in frozen:
        parameters[name].requires_grad_(False)
    log.info(
        "train.freeze=[%s]: %s are frozen, %s are trained",
        ",".join(parts),
        counted(model, frozen),
        counted(model, parameters.keys() - set(frozen)),
    )
    for name in frozen:
        if others := [other for other in names[name] if not any(in_part(other, part) for part in parts)]:
            log.warning("the frozen parameter is shared: %s are frozen, too (model.tying)", ", ".join(others))


def counted(model: nn.Module, names: Collection[str]) -> str:
    """Return the number of these parameters and of their values, for a message."""
    values = sum(parameter.numel() for name, parameter in model.named_parameters() if name in names)
    return f"{len(names)} parameters with {values / 1e6:.2f} million values"
