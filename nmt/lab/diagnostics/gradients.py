"""Measurement of vanishing and exploding gradients.

Hochreiter and Schmidhuber 1997, section 3; Pascanu et al. 2013, section 2.
"""

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
"""Factor by which a gradient must shrink or grow to count as vanished or exploded."""


@dataclass(frozen=True)
class Decay:
    """Gradient of the decoder's loss at step t with respect to the bottom layer's state at step t - k, k = 0, ..., K.

    Each list has K + 1 lists with the three quartiles of the norm over the units. The loss L is in nats.
    """

    state: list[list[float]]
    """Norm of the gradient with respect to the whole state, all its numbers as independent variables: h; (h, c) of an
    LSTM; also the matrices, normalisers and stabilisers of other cells, as they are stored."""
    hidden: list[list[float]]
    """Norm of dL_t/dh_{t-k}; the rest of the state, such as c of an LSTM, is held fixed."""
    memory: list[list[float]] | None
    """Norm for the second tensor of the state, such as c of an LSTM, including the path through h = o tanh(c); None if
    the state is h alone."""
    whole: float
    """Global norm of the gradient of the mean loss with respect to all parameters, which clipping bounds."""

    def median(self) -> list[float]:
        """Return the median norm for each k."""
        return [middle for _, middle, _ in self.state]

    def clip_factor(self, norm: float) -> float:
        """Return the factor by which clipping the global norm to `norm` scales all gradients."""
        return min(1.0, norm / self.whole)

    @property
    def change(self) -> float:
        """Median norm at k = K divided by that at k = 1.

        The step from k = 0 to 1 is not a recurrent step alone, because the loss reads the state at k = 0 directly.
        """
        _, first, *_, last = self.median()
        return last / first

    @property
    def per_step(self) -> float:
        """Geometric mean of the change per step."""
        return float(self.change ** (1 / (len(self.state) - 2)))

    @property
    def verdict(self) -> str:
        """Verb for the change: vanishes, explodes or holds."""
        return "vanishes" if self.change < 1 / HELD else "explodes" if self.change > HELD else "holds"


def measure_decay(model: Seq2Seq, batch: Batch, distance: int) -> Decay:
    """Measure the gradient norms through time.

    Args:
        model: model with a recurrent decoder. It remains in double precision and without dropout, so that small norms
            are exact.
        batch: sentence pairs; each target has more than `distance` tokens, including eos.
        distance: the largest k, K. Only losses at steps t >= K count, so that each k has the same losses.
    """
    model.double().eval()
    model.zero_grad(set_to_none=True)
    losses, states, carried = unrolled(model, batch)
    norms: list[list[Tensor]] = [[] for _ in states[0]]
    whole_norms: list[Tensor] = []
    for t in range(distance, len(losses)):
        real = batch.tgt_mask[t]

        def gradient_norms(parts: list[Tensor], t: int = t, real: Tensor = real) -> Tensor:
            """Return the norms of the gradients with respect to the states k = 0, ..., K steps before, (K + 1, N)."""
            gradients = torch.autograd.grad(
                losses[t][real].sum(), parts, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            return torch.stack([gradient[real].flatten(1).norm(dim=1) for gradient in gradients])

        back = [t - k for k in range(distance + 1)]
        for part, part_norms in enumerate(norms):
            part_norms.append(gradient_norms([states[at][part] for at in back]))
        others = [gradient_norms([carried[at][part] for at in back]) for part in range(len(norms) - 1)]
        whole_norms.append(torch.stack([norms[0][-1], *others]).norm(dim=0))
    state, *quartiles = (
        torch.cat(columns, dim=1).quantile(QUARTILES, dim=1).t().tolist() for columns in (whole_norms, *norms)
    )
    (torch.stack(losses)[batch.tgt_mask].sum() / batch.tokens).backward()  # type: ignore[no-untyped-call]
    whole = clip_gradients(model, 0.0).item()
    return Decay(state, quartiles[0], quartiles[1] if len(quartiles) > 1 else None, whole)


def unrolled(model: Seq2Seq, batch: Batch) -> tuple[list[Tensor], list[tuple[Tensor, ...]], list[tuple[Tensor, ...]]]:
    """Run the decoder step by step, so that every state is a node of the graph.

    Returns:
        The loss (B,) of each step; the state of the bottom layer after it, tensors of B states; and the tensors of that
        state after h (c of an LSTM) as inputs of the next step. The gradient with respect to such an input does not
        include the path through h of its own step.
    """
    state = model.encode(batch.src, batch.src_mask)
    losses, states, carried = [], [], []
    for tokens, targets in zip(batch.tgt_in, batch.tgt_out, strict=True):
        vectors, state, _ = model.decoder.step(tokens, state)
        losses.append(cross_entropy(model.project(vectors), targets, reduction="none"))
        bottom, *upper = state.hidden
        for part in bottom:
            part.requires_grad_()  # a constant, such as a first stabiliser, has a gradient too
        states.append(bottom)
        carried.append(tuple(part.view_as(part) for part in bottom[1:]))
        state = replace(state, hidden=[(bottom[0], *carried[-1]), *upper])
    return losses, states, carried


@torch.no_grad()
def scale_recurrent(model: Seq2Seq, scale: float) -> None:
    """Multiply the recurrent matrices of the decoder by a factor.

    At initialisation they are orthogonal, so that all their singular values become `scale`.
    """
    assert isinstance(model.decoder, RecurrentDecoder)
    for layer in model.decoder.layers.modules():
        if isinstance(layer, RecurrentLayer):
            for name in layer.recurrent:
                layer.get_parameter(name).mul_(scale)


@dataclass(frozen=True)
class ClippedTraining:
    """Record of a training with clipping, with one entry per step."""

    norms: list[float]
    """Global norm of the gradient before clipping."""
    losses: list[float]
    """Mean loss, in nats/token."""


def train_clipped(model: Seq2Seq, batches: TrainingBatches, optim: OptimConfig, steps: int) -> ClippedTraining:
    """Train at a constant learning rate, and stop at the first loss or gradient that is not finite."""
    optimizer, record = build_optimizer(model, optim), ClippedTraining([], [])
    model.train()
    for _ in range(steps):
        sums = accumulate_gradients(model, training_objective(0.0), [batches.next()], bfloat16=False)
        norm = clip_gradients(model, optim.clip_norm).item()
        if not (math.isfinite(norm) and math.isfinite(sums.loss)):
            break
        record.norms.append(norm)
        record.losses.append(sums.loss / sums.tokens)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return record
