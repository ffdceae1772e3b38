"""A few careful steps of training on corrections: replay of training pairs, and decay towards the old weights.

In the loss, the replayed pairs have the old model's probabilities as targets (Li and Hoiem 2016, Learning without
Forgetting). At the old weights the gradient of that part is zero, so that only the corrections move the weights. With
the pairs' own references as targets, the noise of small batches would move the weights, too.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from nmt.console import progress_bar
from nmt.data import Batch, PairStore, make_batch
from nmt.data.batching import Line
from nmt.errors import UserError
from nmt.models import Seq2Seq
from nmt.training.gradients import accumulate_gradients
from nmt.training.objectives.chunks import map_log_probs_chunked
from nmt.training.objectives.likelihood import Objective, ObjectiveOutput, TokenLoss
from nmt.training.optim import clip_gradients

Pair = tuple[Line, Line]
"""Source and target ids of a sentence, without bos and eos."""


def learn_and_replay(old: Seq2Seq, replay_weight: float) -> Objective:
    """Return the objective for batches of corrections and replayed pairs, summed over target tokens.

    A token of a correction has its negative log-likelihood as loss. A token of a replayed pair has
    `replay_weight` KL(P_old || P), with the old model's distribution P_old under teacher forcing.

    Args:
        old: the old model, without dropout; it is not changed.
        replay_weight: weight of the divergence.
    """
    token_loss = TokenLoss()

    def objective(model: Seq2Seq, batch: Batch) -> ObjectiveOutput:
        vectors = model.decoder_outputs(batch.src, batch.src_mask, batch.tgt_in)  # (T, B, E)
        count = sum(index < 0 for index in batch.indices)
        output = token_loss(model, vectors[:, :count], batch.columns(slice(0, count)))
        replayed = batch.columns(slice(count, None))
        if not replayed.indices or not replay_weight:
            return output
        with torch.no_grad():
            theirs = old.decoder_outputs(replayed.src, replayed.src_mask, replayed.tgt_in)[replayed.tgt_mask]
            log_probs = old.project(theirs).float().log_softmax(dim=-1)  # (N, V)
        ours = vectors[:, count:][replayed.tgt_mask]  # (N, E)
        divergence = map_log_probs_chunked(model, divergence_from, ours, log_probs).sum()
        return replace(output, loss=output.loss + replay_weight * divergence)

    return objective


def divergence_from(log_q: Tensor, log_p: Tensor) -> Tensor:
    """Return KL(P || Q) of the distributions in each row: (n, V) and (n, V) to (n,)."""
    return (log_p.exp() * (log_p - log_q)).sum(dim=-1)


def with_decay_towards(objective: Objective, old: Mapping[str, Tensor], strength: float) -> Objective:
    """Return the objective plus n strength/2 sum (w - w0)^2 over all weights w, with n tokens in the batch.

    w0 are the old weights. Divided by the tokens of the batch, the penalty counts once in the mean loss of a step. It
    is L2-SP of Li, Grandvalet and Davoine 2018 (eq. 4) with all parameters of the old model as starting point.

    Args:
        objective: objective without the penalty.
        old: old weights by name; parameters without one are not penalised.
        strength: strength of the penalty; 0 returns the objective itself.
    """
    if not strength:
        return objective

    def penalised(model: Seq2Seq, batch: Batch) -> ObjectiveOutput:
        output = objective(model, batch)
        changes = [
            (weight - old[name]).square().sum()
            for name, weight in model.named_parameters()
            if name in old and weight.requires_grad
        ]
        penalty = strength / 2 * torch.stack(changes).sum()
        return replace(output, loss=output.loss + batch.tokens * penalty)

    return penalised


class CorrectionBatches:
    """Endless batches of corrections mixed with replayed training pairs. The seed alone determines them.

    The corrections are shuffled, and shuffled again when all have been drawn; if a batch has room for more than all of
    them, they are repeated in it. The replayed pairs of a batch are drawn from the training set without repetition.
    """

    def __init__(self, corrections: Sequence[Pair], store: PairStore | None, size: int, replay: float, seed: int):
        """
        Args:
            corrections: ids of the corrections.
            store: training set; None: no replay.
            size: number of sentences in a batch.
            replay: share of the batch that is training pairs; each batch has at least one correction.
            seed: seed of the order and of the choice.
        """
        self.corrections = corrections
        self.store = store
        self.replayed = 0 if store is None else min(round(size * replay), size - 1, len(store))
        self.corrected = size - self.replayed
        self.random = np.random.default_rng(seed)
        self.order = self.endless_order()

    def endless_order(self) -> Iterator[int]:
        """Yield indices of corrections, each once before any of them again."""
        while True:
            yield from self.random.permutation(len(self.corrections)).tolist()

    def next(self) -> Batch:
        """Return the next batch, the corrections first; their indices are negative, those of pairs count the store."""
        chosen = [next(self.order) for _ in range(self.corrected)]
        pairs = [self.corrections[number] for number in chosen]
        indices = [-1 - number for number in chosen]
        if self.store is not None and self.replayed:
            drawn = self.random.choice(len(self.store), self.replayed, replace=False).tolist()
            pairs += [(self.store.src[number], self.store.tgt[number]) for number in drawn]
            indices += drawn
        return make_batch([src for src, _ in pairs], [tgt for _, tgt in pairs], indices)


def take_careful_steps(
    model: Seq2Seq,
    objective: Objective,
    optimizer: Optimizer,
    batches: CorrectionBatches,
    max_steps: int,
    clip_norm: float,
    check_every: int,
    should_stop: Callable[[int], bool],
) -> int:
    """Train for a few steps, and return their number.

    Args:
        model: the model; it is changed.
        objective: maps model and batch to the loss.
        optimizer: optimizer of the model.
        batches: corrections with replay.
        max_steps: maximum number of steps.
        clip_norm: maximum norm of the gradients; 0: no limit.
        check_every: number of steps between two calls of `should_stop`, which is also called after the last step.
        should_stop: receives the number of steps taken and returns whether to stop.

    Raises:
        UserError: the loss or the gradient is not finite, or there is no memory for a single pair.
    """
    device = next(model.parameters()).device
    with progress_bar() as bar:
        task = bar.add_task("adapting", total=max_steps)
        for step in range(1, max_steps + 1):
            model.train()
            sums = accumulate_gradients(model, objective, [batches.next().to(device)], bfloat16=False)
            norm = clip_gradients(model, clip_norm).item()
            if not math.isfinite(norm) or not math.isfinite(sums.loss):
                raise UserError(f"the loss or the gradient of step {step} is not finite; lower learning_rate")
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            bar.advance(task)
            if (step % check_every == 0 or step == max_steps) and should_stop(step):
                return step
    return max_steps
