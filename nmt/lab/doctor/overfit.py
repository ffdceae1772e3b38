"""Overfitting test: a model that cannot fit one batch will not fit a corpus."""

import logging
import time
from collections.abc import Sequence

import torch

from nmt.config import ModelConfig, OptimConfig, ScheduleKind
from nmt.data import Batch, Tokenizer, make_batch
from nmt.lab.doctor.findings import Finding, Verdict
from nmt.lab.doctor.scan import Entry
from nmt.lab.doctor.vocabulary import encode
from nmt.models import Vocabulary, build_model
from nmt.training import build_optimizer, cross_entropy
from nmt.training.optim import clip_gradients

PAIRS = 8
PIECES = 24  # maximum number of pieces per side
LEARNT = 0.1  # nats per token below which the batch counts as learnt
STUCK = 0.5  # share of the first loss above which the model counts as not learning
OPTIM = OptimConfig(learning_rate=2e-3, schedule=ScheduleKind.constant, warmup_steps=0)

log = logging.getLogger(__name__)


def examine_overfit(
    config: ModelConfig,
    sample: Sequence[Entry],
    tokenizers: Sequence[Tokenizer],
    device: torch.device,
    seed: int,
    steps: int,
    seconds: float,
) -> Finding:
    """Train the model without dropout on a few pairs of the sample, with Adam, until the loss is below `LEARNT`.

    Training stops earlier after `steps` steps or `seconds`.
    """
    lines, batch = choose(sample, tokenizers)
    if not lines:
        return Finding("one batch", Verdict.look, f"not judged: no pair of at most {PIECES} pieces in the sample")
    torch.manual_seed(seed)
    vocabulary = Vocabulary(tokenizers[0].size, tokenizers[1].size)
    model = build_model(config.without_noise(), vocabulary).to(device)
    optimizer, objective, batch = build_optimizer(model, OPTIM), cross_entropy(0.0), batch.to(device)
    losses: list[float] = []
    begin = time.monotonic()
    while len(losses) < steps and time.monotonic() - begin < seconds:
        optimizer.zero_grad()
        loss = objective(model, batch).loss
        torch.autograd.backward(loss / batch.tokens)
        losses.append(float(loss.detach()) / batch.tokens)
        if losses[-1] < LEARNT:
            break
        clip_gradients(model, OPTIM.clip_norm)
        optimizer.step()
    best = min(losses)
    text = f"{losses[0]:.2f} to {best:.3f} nats/token in {len(losses)} steps on {len(lines)} pairs"
    limits = f"look above {LEARNT} nats, bad above {STUCK:.0%} of the first loss"
    if best < LEARNT:
        return Finding("one batch", Verdict.ok, text, limits, value=best)
    out_of_time = len(losses) < steps
    verdict = Verdict.bad if not best <= STUCK * losses[0] and not out_of_time else Verdict.look
    remedy = (
        "raise overfit_seconds"
        if out_of_time
        else "raise overfit_steps; if this finding remains, check the values of model.*"
    )
    return Finding("one batch", verdict, text, limits, [f"train:{line}" for line in lines[:3]], remedy, best)


def choose(sample: Sequence[Entry], tokenizers: Sequence[Tokenizer]) -> tuple[list[int], Batch]:
    """Return the lines and the batch of the first short pairs with distinct sources.

    A source with two targets cannot be learnt to a loss of 0.
    """
    lines: list[int] = []
    chosen: tuple[list[list[int]], list[list[int]]] = [], []
    seen: set[str] = set()
    for entry in sample[:1000]:
        ids = [side[0] for side in encode(tokenizers, [entry])]
        if max(map(len, ids)) <= PIECES and entry.src not in seen and len(lines) < PAIRS:
            seen.add(entry.src)
            lines.append(entry.line)
            for side, line in zip(chosen, ids, strict=True):
                side.append(line)
    return lines, make_batch(*chosen, range(len(lines)))
