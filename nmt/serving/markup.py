"""Translation of sentences with markup through the queue."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nmt.config import SearchConfig
from nmt.decoding import Candidate, TargetConstraints, align_words
from nmt.documents.document import Escape
from nmt.documents.inline import PlainRequest, PlainTranslation, Segment, translation_steps
from nmt.documents.lines import FOR_DOCUMENTS, with_protection
from nmt.serving.batching import Job
from nmt.serving.model import Model


@dataclass
class MarkupTranslation:
    """N best translations of some sentences. Those of plain sentences are computed once for all ranks."""

    run: Callable[[Sequence[Job]], Awaitable[list[Any]]]
    """Function that submits jobs and returns their results."""
    model: Model
    search: SearchConfig
    limits: TargetConstraints
    """Constraints of all sentences."""
    found: dict[str, list[Candidate]] = field(default_factory=dict)
    """Translations of plain sentences."""

    async def translate(self, segments: Sequence[Segment], escapes: Sequence[Escape]) -> list[list[str]]:
        """Return the translations of each sentence with their markup, best first.

        A sentence that has fewer translations than another one repeats its last one.

        Args:
            segments: the sentences.
            escapes: function for each sentence that escapes the text of its translation.
        """
        results: list[list[str]] = [[] for _ in segments]
        for rank in range(self.search.n_best):
            for escape in dict.fromkeys(escapes):
                numbers = [number for number in range(len(segments)) if escapes[number] is escape]
                texts = await self.translate_rank([segments[number] for number in numbers], escape, rank)
                for number, text in zip(numbers, texts, strict=True):
                    results[number].append(text)
            if all(len(candidates) <= rank + 1 for candidates in self.found.values()):
                break
        return results

    async def translate_rank(self, segments: Sequence[Segment], escape: Escape, rank: int) -> list[str]:
        """Return the translation of each sentence with its markup by the candidates of a rank."""
        segments = [with_protection(segment, FOR_DOCUMENTS) for segment in segments]
        aligned = self.model.attends and any(segment.tags or segment.fixed for segment in segments)
        steps = translation_steps(segments, escape=escape, writes=self.model.writes)
        try:
            requests = next(steps)
            while True:
                requests = steps.send(await self.answer(requests, rank, aligned))
        except StopIteration as stop:
            results: list[str] = stop.value
            return results

    async def answer(self, requests: Sequence[PlainRequest], rank: int, aligned: bool) -> list[PlainTranslation]:
        """Return the translations of plain sentences by the candidates of a rank, with links of words if `aligned`."""
        lines = [request.text for request in requests]
        new = [line for line in dict.fromkeys(lines) if line not in self.found]
        translations = await self.run([Job(self.model, self.search, line, self.limits) for line in new])
        self.found.update(zip(new, translations, strict=True))
        best = [self.found[line][min(rank, len(self.found[line]) - 1)] for line in lines]
        if not aligned:
            return [PlainTranslation(candidate.text, None) for candidate in best]
        function = partial(
            align_words, self.model.translator, lines, [[candidate] for candidate in best], punctuation=False
        )
        links = (await self.run([Job(self.model, self.search, "", self.limits, function)]))[0]
        pairs = zip(best, links, strict=True)
        return [PlainTranslation(candidate.text, tuple(of_line[0])) for candidate, of_line in pairs]
