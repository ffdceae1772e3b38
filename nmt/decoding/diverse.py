"""Diverse beam search: Vijayakumar et al. 2018.

B sentences, G groups of K hypotheses each, V words in the vocabulary.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nmt.config import SearchConfig
from nmt.decoding.search import (
    LEAVE_TOGETHER,
    Hypothesis,
    LogitsProcessor,
    S,
    Step,
    Symbols,
    best_continuations,
    finished_hypotheses,
    force_eos,
    length_norm,
)


@torch.inference_mode()
def diverse_search(
    step: Step[S],
    state: S,
    max_lengths: Tensor,
    symbols: Symbols,
    config: SearchConfig,
    rules: Sequence[LogitsProcessor] = (),
    bonus: Callable[[S], Tensor] | None = None,
) -> list[list[Hypothesis]]:
    """Beam searches of `groups` groups side by side, each of which avoids the words of those before it.

    Arguments as those of `search`. Returns the `n_best` hypotheses of each sentence over all its groups, each once.

    Algorithm 1 of the paper with its Hamming diversity: in each step the groups choose one after another, and in group
    g the sum of a continuation by the word w becomes Theta + log p(w) - lambda n(w), where n(w) counts the hypotheses
    of the groups before g that have just taken w, the end too. The sums, with what they have lost, choose what goes on;
    what is returned has the model's own log-probability, and is ranked by its score.

    A group follows the rule of `search` and is done when it has K finished hypotheses, or none to go on with; then it
    no longer counts in n(w). A sentence leaves when all its groups are done.
    """
    groups, size = config.groups, config.width // config.groups  # G, K
    device = max_lengths.device
    finished: list[list[list[Hypothesis]]] = [[[] for _ in range(groups)] for _ in max_lengths]
    banned = torch.tensor(symbols.banned, dtype=torch.long, device=device)
    sentences, limits = torch.arange(len(max_lengths), device=device), max_lengths
    state = state.select(sentences.unsqueeze(1).expand(-1, groups))
    history = torch.full((len(sentences), groups, 1), symbols.bos_id, device=device)  # (B, G K, t)
    totals = torch.zeros(len(sentences), groups, 1, device=device)  # log-probabilities, (B, G, K)
    sums = totals.clone()  # what is left of them after the penalties
    open_groups = torch.ones(len(sentences), groups, dtype=torch.bool, device=device)
    length = 0
    while len(sentences):
        length += 1
        log_probs, state = step(history[:, :, -1].flatten(), state)
        log_probs = log_probs.view(len(sentences), history.size(1), -1)  # (B, G K, V)
        log_probs.index_fill_(2, banned, float("-inf"))
        force_eos(log_probs, limits < length, symbols.eos_id)
        for rule in rules:
            rule(log_probs, history, sentences)
        added = None if bonus is None else bonus(state).view(totals.shape)

        taken = log_probs.new_zeros(len(sentences), log_probs.size(2))  # n(w), (B, V)
        chosen: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        for group, own in enumerate(log_probs.chunk(groups, dim=1)):  # (B, K, V)
            penalised = own - config.diversity * taken.unsqueeze(1)
            best, parent, word = best_continuations(sums[:, group], penalised, 2 * size)  # (B, 2 K)
            line = torch.arange(len(sentences), device=device).unsqueeze(1)
            true = totals[:, group].gather(1, parent) + own[line, parent, word]
            ends = word == symbols.eos_id
            ended = (ends & best.isfinite() & open_groups[:, group, None])[:, :size]
            taken[:, symbols.eos_id] += ended.sum(dim=1)
            if ended.any():
                at, rank = ended.nonzero().unbind(1)
                rated = true / length_norm(length, config).to(device)
                if added is not None:
                    rated = rated + added[:, group].gather(1, parent)
                rows = group * totals.size(2) + parent[at, rank]
                hypotheses = finished_hypotheses(history[at, rows], true[at, rank], rated[at, rank])
                for place, sentence, hypothesis in zip(at.tolist(), sentences[at].tolist(), hypotheses, strict=True):
                    finished[sentence][group].append(hypothesis)
                    if len(finished[sentence][group]) >= size:
                        open_groups[place, group] = False

            group_sums, alive = best.masked_fill(ends, float("-inf")).topk(min(size, best.size(1)), dim=1)  # (B, K)
            words = word.gather(1, alive)
            open_groups[:, group] &= group_sums[:, 0].isfinite()
            counts = group_sums.isfinite() & open_groups[:, group, None]
            taken.scatter_add_(1, words, counts.to(taken.dtype))
            chosen.append((group_sums, true.gather(1, alive), parent.gather(1, alive), words))

        sums, totals, parents, next_words = (torch.stack(parts, dim=1) for parts in zip(*chosen, strict=True))
        first = torch.arange(len(sentences) * groups, device=device).view(-1, groups, 1) * (history.size(1) // groups)
        rows = (first + parents).flatten(1)  # (B, G K)
        words = next_words.flatten(1).unsqueeze(2)
        stay = open_groups.any(dim=1)
        if stay.sum() <= (1 - LEAVE_TOGETHER) * len(sentences):
            sentences, limits, open_groups = sentences[stay], limits[stay], open_groups[stay]
            sums, totals, rows, words = sums[stay], totals[stay], rows[stay], words[stay]
        state = state.select(rows)
        history = torch.cat([history.flatten(0, 1)[rows], words], dim=2)
    return [distinct(hypotheses)[: config.n_best] for hypotheses in finished]


def distinct(groups: Sequence[Sequence[Hypothesis]]) -> list[Hypothesis]:
    """The hypotheses of all groups, each once, best first."""
    found: dict[tuple[int, ...], Hypothesis] = {}
    for hypothesis in sorted((each for group in groups for each in group), key=lambda hypothesis: -hypothesis.score):
        found.setdefault(tuple(hypothesis.tokens), hypothesis)
    return list(found.values())
