"""Vanishing and exploding gradients, measured (Hochreiter and Schmidhuber 1997, 3; Pascanu et al. 2013, 2)."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from nmt.config import OptimConfig
from nmt.data import Batch, TrainingBatches
from nmt.models import Seq2Seq
from nmt.models.decoders import RecurrentDecoder
from nmt.models.layers.recurrent import RecurrentLayer
from nmt.training import build_optimizer
from nmt.training import cross_entropy as training_objective
from nmt.training.gradients import accumulate_gradients
from nmt.training.optim import clip_gradients

QUARTILES = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
HELD = 100.0
"""A gradient has vanished or exploded once it is this many times smaller or larger than at the start."""


@dataclass(frozen=True)
class Decay:
    """The gradient of a decoder's loss at step t by its bottom layer's state at step t - k, for k = 0, 1, ..., K.

    Each list has K + 1 lists of three: quartiles of the norm over the units, with L in nats.
    """

    state: list[list[float]]
    """Of the gradient by the whole state: h, and of an LSTM h and c as independent variables, (dL/dh, dL/dc)."""
    hidden: list[list[float]]
    """Of dL_t/dh_{t-k}, for an LSTM with c held fixed."""
    memory: list[list[float]] | None
    """Of an LSTM's dL_t/dc_{t-k}, through h = o tanh(c) too; None for cells without."""
    whole: float
    """Global norm of the gradient of the mean loss by all parameters, which clipping looks at."""

    def median(self) -> list[float]:
        return [middle for _, middle, _ in self.state]

    def clip_factor(self, norm: float) -> float:
        """What all gradients are multiplied by, near and far, when their global norm is clipped to `norm`."""
        return min(1.0, norm / self.whole)

    @property
    def change(self) -> float:
        """The norm at k = K over that at k = 1: the step from 0, where the loss itself reads the state, is another."""
        _, first, *_, last = self.median()
        return last / first

    @property
    def per_step(self) -> float:
        """The factor of a step: the geometric mean."""
        return float(self.change ** (1 / (len(self.state) - 2)))

    @property
    def verdict(self) -> str:
        return "vanishes" if self.change < 1 / HELD else "explodes" if self.change > HELD else "holds"


def measure_decay(model: Seq2Seq, batch: Batch, most: int) -> Decay:
    """
    Args:
        model: with a recurrent decoder; left in double precision and without dropout, so that small norms are exact.
        batch: each of its targets has more than `most` tokens, eos counted.
        most: the largest k, K. Only losses of steps t >= K count, so that each k has the same losses.
    """
    model.double().eval()
    model.zero_grad(set_to_none=True)
    losses, states, carried = unrolled(model, batch)
    norms: list[list[Tensor]] = [[] for _ in states[0]]
    whole_norms: list[Tensor] = []
    for t in range(most, len(losses)):
        real = batch.tgt_mask[t]

        def gradient_norms(parts: list[Tensor], t: int = t, real: Tensor = real) -> Tensor:
            """Return the norms of the gradients by states k = 0, ..., K steps before, (K + 1, real)."""
            gradients = torch.autograd.grad(
                losses[t][real].sum(), parts, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            return torch.stack([gradient[real].norm(dim=-1) for gradient in gradients])

        back = [t - k for k in range(most + 1)]
        for part, found in enumerate(norms):
            found.append(gradient_norms([states[at][part] for at in back]))
        others = [gradient_norms([carried[at][part] for at in back]) for part in range(len(norms) - 1)]
        whole_norms.append(torch.stack([norms[0][-1], *others]).norm(dim=0))
    state, *quartiles = (
        torch.cat(found, dim=1).quantile(QUARTILES, dim=1).t().tolist() for found in (whole_norms, *norms)
    )
    (torch.stack(losses)[batch.tgt_mask].sum() / batch.tokens).backward()  # type: ignore[no-untyped-call]
    whole = clip_gradients(model, 0.0).item()
    return Decay(state, quartiles[0], quartiles[1] if len(quartiles) > 1 else None, whole)


def unrolled(model: Seq2Seq, batch: Batch) -> tuple[list[Tensor], list[tuple[Tensor, ...]], list[tuple[Tensor, ...]]]:
    """Run the decoder step by step.

    What search does at a step is what training does (a test holds them equal), but here every state is a node.

    Returns:
        The loss (B,) of each step; the bottom layer's state after it, each (B, H); and of that state what follows h,
        c of an LSTM, as the next step reads it: the gradient by this node leaves out the way through h.
    """
    state = model.encode(batch.src, batch.src_mask)
    losses, states, carried = [], [], []
    for tokens, wanted in zip(batch.tgt_in, batch.tgt_out, strict=True):
        vectors, state, _ = model.decoder.step(tokens, state)
        losses.append(cross_entropy(model.project(vectors), wanted, reduction="none"))
        bottom, *upper = state.hidden
        states.append(bottom)
        carried.append(tuple(part.view_as(part) for part in bottom[1:]))
        state = replace(state, hidden=[(bottom[0], *carried[-1]), *upper])
    return losses, states, carried


@torch.no_grad()
def scale_recurrent(model: Seq2Seq, scale: float) -> None:
    """Multiplies the decoder's recurrent matrices; they are orthogonal at first, so all their singular values."""
    assert isinstance(model.decoder, RecurrentDecoder)
    for layer in model.decoder.layers.modules():
        if isinstance(layer, RecurrentLayer):
            for name in layer.recurrent:
                layer.get_parameter(name).mul_(scale)


@dataclass(frozen=True)
class ClippedTraining:
    """A training step by step."""

    norms: list[float]
    """The gradient's global norm before clipping."""
    losses: list[float]
    """Mean loss, nats a token."""


def train_clipped(model: Seq2Seq, batches: TrainingBatches, optim: OptimConfig, steps: int) -> ClippedTraining:
    """Trains as the trainer does, at a constant learning rate; ends early where the loss is no longer finite."""
    optimizer, found = build_optimizer(model, optim), ClippedTraining([], [])
    model.train()
    for _ in range(steps):
        sums = accumulate_gradients(model, training_objective(0.0), [batches.next()], bfloat16=False)
        norm = clip_gradients(model, optim.clip_norm).item()
        if not (math.isfinite(norm) and math.isfinite(sums.loss)):
            break
        found.norms.append(norm)
        found.losses.append(sums.loss / sums.tokens)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return found
