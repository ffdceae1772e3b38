"""R-Drop: two passes with different dropout masks are trained to agree (Liang et al. 2021)."""

from dataclasses import replace

import torch
from torch import Tensor

from nmt.data import Batch
from nmt.models import Seq2Seq
from nmt.training.objectives.chunks import map_log_probs_chunked
from nmt.training.objectives.likelihood import Objective, ObjectiveOutput, TokenLoss


def r_drop(token_loss: TokenLoss, alpha: float) -> Objective:
    """Return the objective 1/2 (L_1 + L_2) + alpha/2 1/2 (KL(P_1 || P_2) + KL(P_2 || P_1)), summed over tokens.

    This is half of Liang et al. 2021, eq. 4: alpha is the paper's, and with alpha = 0 the loss is the mean of the two
    passes, on the scale of the other objectives.

    Args:
        token_loss: loss L of one pass.
        alpha: strength of the agreement.
    """

    def objective(model: Seq2Seq, batch: Batch) -> ObjectiveOutput:
        twice = doubled(batch)
        if model.drops_weights:  # one mask holds for all rows of a call
            passes = [model.decoder_outputs(batch.src, batch.src_mask, batch.tgt_in) for _ in range(2)]
            vectors = torch.cat(passes, dim=1)
        else:
            vectors = model.decoder_outputs(twice.src, twice.src_mask, twice.tgt_in)  # (T, 2 B, E)
        output = token_loss(model, vectors, twice)
        one, other = (half[batch.tgt_mask] for half in vectors.chunk(2, dim=1))  # (N, E) each
        return ObjectiveOutput((output.loss + alpha * disagreement(model, one, other)) / 2, output.nll / 2)

    return objective


def doubled(batch: Batch) -> Batch:
    """Return a batch with each pair twice, (., 2 B)."""
    return replace(
        batch,
        src=torch.cat([batch.src] * 2, dim=1),
        src_mask=torch.cat([batch.src_mask] * 2, dim=1),
        tgt_in=torch.cat([batch.tgt_in] * 2, dim=1),
        tgt_out=torch.cat([batch.tgt_out] * 2, dim=1),
        tgt_mask=torch.cat([batch.tgt_mask] * 2, dim=1),
        indices=batch.indices * 2,
        tokens=batch.tokens * 2,
    )


def disagreement(model: Seq2Seq, one: Tensor, other: Tensor) -> Tensor:
    """Return 1/2 (KL(P || Q) + KL(Q || P)) = 1/2 sum_w (p_w - q_w) (log p_w - log q_w), summed over rows (N, E)."""
    pairs = torch.stack([one, other], dim=1)  # (N, 2, E)
    return map_log_probs_chunked(model, symmetric_divergence, pairs).sum()


def symmetric_divergence(log_probs: Tensor) -> Tensor:
    """Return the symmetric divergence of the two distributions in each row: (n, 2, V) to (n,)."""
    p, q = log_probs.unbind(dim=1)
    return ((p.exp() - q.exp()) * (p - q)).sum(dim=-1) / 2
