"""Translation of requests: languages, division into sentences, limits, and the queue of the models."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nmt.config import DocumentFormat, SearchConfig, SearchKind, ServeConfig
from nmt.decoding import Candidate, TargetConstraints
from nmt.documents.document import Escape, parse_document
from nmt.documents.inline import Segment
from nmt.documents.parsed import DividedDocument, LanguagePair
from nmt.lab.doctor.language import language_scores
from nmt.serving.batching import BatchQueue, Job
from nmt.serving.markup import MarkupTranslation
from nmt.serving.metrics import Metrics
from nmt.serving.model import Model
from nmt.serving.page_results import (
    alternative_constraints,
    alternatives_result,
    candidate_result,
    next_pieces,
    word_details,
)
from nmt.serving.requests import RequestError

WINDOW = 64
"""Number of sentences of one request that are in the queue at a time."""
SETTINGS = frozenset({"kind", "beam_size", "n_best", "length_penalty", "alpha", "temperature", "seed"})
"""Search settings that a request of the page can set."""
KINDS = (SearchKind.greedy, SearchKind.beam, SearchKind.sampling)


@dataclass(frozen=True)
class Wish:
    """Settings of a request of the page."""

    search: dict[str, Any] = field(default_factory=dict)
    require: Sequence[str] = ()
    forbid: Sequence[str] = ()
    prefixes: dict[int, str] = field(default_factory=dict)
    """Forced beginnings of sentences by number."""


class Service:
    """Models behind the queue, without HTTP."""

    def __init__(self, models: Sequence[Model], config: ServeConfig, threads: int) -> None:
        self.models = list(models)
        self.config = config
        self.metrics = Metrics()
        self.queue = BatchQueue(threads, config.max_queue, config.wait_ms / 1000, self.metrics)

    def languages(self) -> dict[str, list[str]]:
        """Return the targets of each language; a language that is only a target has none."""
        targets: dict[str, list[str]] = {}
        for model in self.models:
            targets.setdefault(model.src, []).append(model.tgt)
            targets.setdefault(model.tgt, [])
        return {code: list(dict.fromkeys(codes)) for code, codes in targets.items()}

    def model_for(self, source: str, target: str) -> Model:
        """Return the first model of a direction.

        Raises:
            RequestError: there is none.
        """
        for model in self.models:
            if (model.src.lower(), model.tgt.lower()) == (source.lower(), target.lower()):
                return model
        directions = ", ".join(dict.fromkeys(f"{model.src} to {model.tgt}" for model in self.models))
        raise RequestError(400, f"this server does not translate from {source} to {target}; it has: {directions}")

    def detect(self, text: str) -> list[dict[str, Any]]:
        """Return the languages of this server that a text may be in, most probable first, in percent."""
        scores = language_scores(text, list(self.languages()))
        return [{"language": code, "confidence": round(100 * score, 1)} for code, score in scores]

    def divide(self, model: Model, text: str, kind: DocumentFormat, name: str = "the text") -> DividedDocument:
        """Divide a document in the source language of a model into sentences.

        Raises:
            UserError: the document is not of this format.
        """
        self.metrics.add_characters(len(text))
        return parse_document(text, kind, LanguagePair(model.src, model.tgt), name)

    async def translate(
        self,
        model: Model,
        search: SearchConfig,
        sentences: Sequence[str],
        constraints: Sequence[TargetConstraints] | None = None,
    ) -> list[list[Candidate]]:
        """Return the translations of each sentence."""
        results: list[list[Candidate]] = []
        async for of_window in self.translate_windows(model, search, sentences, constraints):
            results += of_window
        return results

    async def translate_windows(
        self,
        model: Model,
        search: SearchConfig,
        sentences: Sequence[str],
        constraints: Sequence[TargetConstraints] | None = None,
    ) -> AsyncIterator[list[list[Candidate]]]:
        """Yield the translations of the sentences in windows, so that long texts leave room for other requests."""
        constraints = constraints or [TargetConstraints()] * len(sentences)
        for start in range(0, len(sentences), WINDOW):
            span = slice(start, start + WINDOW)
            pairs = zip(sentences[span], constraints[span], strict=True)
            yield await self.run([Job(model, search, line, constraint) for line, constraint in pairs])

    async def translate_markup(
        self,
        model: Model,
        search: SearchConfig,
        segments: Sequence[Segment],
        escapes: Sequence[Escape],
        forbid: Sequence[str] = (),
    ) -> AsyncIterator[list[list[str]]]:
        """Yield the n best translations of sentences with their markup, in windows.

        Args:
            model: the model.
            search: search settings.
            segments: the sentences.
            escapes: function for each sentence that escapes the text of its translation.
            forbid: words and phrases that no translation contains.
        """
        limits = TargetConstraints(forbidden=model.builder.forbid(forbid))
        for start in range(0, len(segments), WINDOW):
            span = slice(start, start + WINDOW)
            yield await MarkupTranslation(self.run, model, search, limits).translate(segments[span], escapes[span])

    async def run(self, jobs: Sequence[Job]) -> list[Any]:
        """Submit jobs and return their results. The waiting jobs of a cancelled request are not computed."""
        self.queue.submit(jobs)
        return list(await asyncio.gather(*(asyncio.wrap_future(job.future) for job in jobs)))

    def search_of(self, model: Model, settings: dict[str, Any]) -> SearchConfig:
        """Return the search settings of a request.

        Raises:
            RequestError: a setting is unknown or too large.
            UserError: a value is not allowed.
        """
        if unknown := settings.keys() - SETTINGS:
            raise RequestError(400, f"search has {min(unknown)}; allowed: {', '.join(sorted(SETTINGS))}")
        search = model.search(settings)
        if search.kind not in KINDS:
            raise RequestError(400, f"search.kind is {search.kind}; allowed: {', '.join(KINDS)}")
        if max(search.width, search.beam_size) > self.config.max_beam_size:
            raise RequestError(400, f"beam_size and n_best can be at most {self.config.max_beam_size} on this server")
        return search

    def constraints_of(self, model: Model, wish: Wish, sentences: Sequence[str]) -> list[TargetConstraints]:
        """Return the constraints of each sentence. Required phrases apply to the first sentence.

        Raises:
            RequestError: a phrase is required and forbidden.
            UserError: the vocabulary cannot write a phrase.
        """
        for wanted in wish.require:
            if any(f" {' '.join(phrase.split())} " in f" {' '.join(wanted.split())} " for phrase in wish.forbid):
                raise RequestError(400, "a required phrase contains a forbidden one; remove one of them")
        forbidden = model.builder.forbid(wish.forbid)
        constraints = []
        for number in range(len(sentences)):
            require = wish.require if number == 0 else ()
            made = model.builder.make(wish.prefixes.get(number, ""), require, "the translation")
            constraints.append(TargetConstraints(made.prefix, made.phrases, made.where, forbidden))
        return constraints

    async def details(self, model: Model, text: str, wish: Wish) -> dict[str, Any]:
        """Return the translations of a text with words, attention and confidence of each sentence."""
        search = self.search_of(model, wish.search)
        divided = self.divide(model, text, DocumentFormat.text)
        sentences = [segment.text for segment in divided.segments]
        constraints = self.constraints_of(model, wish, sentences)
        translations = await self.translate(model, search, sentences, constraints)
        idle = [candidates[0] if candidates else Candidate("", 0.0, 0.0) for candidates in translations]
        calls = [
            Job(model, search, "", TargetConstraints(), partial(word_details, model, line, candidate))
            for line, candidate in zip(sentences, idle, strict=True)
        ]
        words: list[Any] = []
        for start in range(0, len(calls), WINDOW):
            words += await self.run(calls[start : start + WINDOW])
        segments = [
            {"source": line, "candidates": [candidate_result(candidate) for candidate in candidates], "words": of_line}
            for line, candidates, of_line in zip(sentences, translations, words, strict=True)
        ]
        best = [candidate.text for candidate in idle]
        return {"translatedText": divided.join(best), "between": divided.between, "segments": segments}

    async def alternatives(self, model: Model, line: str, prefix: str, wish: Wish) -> list[dict[str, Any]]:
        """Return alternatives for the word behind a prefix, each with the translation that continues from it."""
        function = partial(next_pieces, model, line, prefix)
        search = self.search_of(model, {"kind": "beam", "beam_size": min(3, self.config.max_beam_size), "n_best": 1})
        written, ranked = (await self.run([Job(model, search, "", TargetConstraints(), function)]))[0]
        forbidden = model.builder.forbid(wish.forbid)
        constraints = [
            TargetConstraints(made.prefix, made.phrases, made.where, forbidden)
            for made in alternative_constraints(written, [piece for piece, _ in ranked])
        ]
        found = await self.translate(model, search, [line] * len(constraints), constraints)
        return alternatives_result(prefix, [of_line[0] for of_line in found], [value for _, value in ranked])
