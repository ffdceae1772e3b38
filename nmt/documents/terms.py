"""Translation with a glossary: terms become constraints where the translation without them does not have them.

A sentence is first translated freely. If a form of every term is in the translation, it stays, so that the model
chooses the inflection. Otherwise the sentence is translated under lexical constraints (Post and Vilar 2018): once for
each combination of the forms of its terms, up to `MAX_COMBINATIONS`. The translation with the best score counts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from nmt.config import SearchKind
from nmt.decoding import Candidate, ConstraintBuilder, TargetConstraints, Translator
from nmt.documents.glossary import Glossary, Term
from nmt.errors import UserError

MAX_COMBINATIONS = 8
"""Maximum number of combinations of target forms that are searched for a sentence."""


@dataclass(frozen=True)
class TermUse:
    """Result for one term of one sentence."""

    term: Term
    kept: str | None
    """Form in the translation; None: the term is missing."""
    free: bool
    """True if the translation without constraints had it."""


@dataclass(frozen=True)
class TermResult:
    """Translation of a sentence with its terms."""

    candidate: Candidate
    uses: tuple[TermUse, ...]


@dataclass
class TermReport:
    """Terms kept and missed, over all sentences."""

    sentences: list[Sequence[TermUse]] = field(default_factory=list)
    """Terms of each sentence."""

    def summary(self, name: str) -> str:
        """Return the report as one line."""
        uses = [use for of_sentence in self.sentences for use in of_sentence]
        free = sum(use.kept is not None and use.free for use in uses)
        constrained = sum(use.kept is not None and not use.free for use in uses)
        missed = sum(use.kept is None for use in uses)
        return (
            f"{name}: {len(uses)} terms in {sum(map(bool, self.sentences))} of {len(self.sentences)} sentences; "
            f"{free} kept without constraints, {constrained} by constraints, {missed} missed"
        )

    def rows(self) -> list[str]:
        """Return the report as tab-separated lines with a line of column names; sentences count from 1."""
        rows = ["sentence\tsource\ttarget\tresult\tform"]
        for number, of_sentence in enumerate(self.sentences, start=1):
            for use in of_sentence:
                result = "missed" if use.kept is None else "free" if use.free else "constraint"
                term = use.term
                rows.append(f"{number}\t{term.sources[0]}\t{term.targets[0]}\t{result}\t{use.kept or ''}")
        return rows


class TermTranslation:
    """Translation of sentences with the terms of a glossary."""

    def __init__(self, translator: Translator, glossary: Glossary) -> None:
        """
        Args:
            translator: translator with beam search.
            glossary: the terms.

        Raises:
            UserError: the search is another one, or the vocabulary cannot write a target term.
        """
        if translator.config.kind != SearchKind.beam:
            raise UserError(
                f"search.kind={translator.config.kind} does not support lexical constraints; "
                "use search=beam with a glossary"
            )
        self.translator = translator
        self.glossary = glossary
        self.builder = ConstraintBuilder(translator.tgt)
        for term in glossary.terms:
            for form in term.targets:
                self.builder.make("", [form], term.where)

    def __call__(self, lines: Sequence[str], required: Sequence[Sequence[str]] | None = None) -> list[TermResult]:
        """Return the best translation of each sentence.

        Args:
            lines: the sentences.
            required: further texts that each translation must contain.
        """
        required = required or [()] * len(lines)
        terms = [list(dict.fromkeys(match.term for match in self.glossary.find(line))) for line in lines]
        free = self.search(lines, [self.constraints((), texts) for texts in required])
        best = list(free)
        jobs = [
            (number, forms)
            for number, of_line in enumerate(terms)
            if any(term.kept_form(free[number].text) is None for term in of_line)
            for forms in combinations(of_line, free[number].text)
        ]
        found = self.search(
            [lines[number] for number, _ in jobs],
            [self.constraints(forms, required[number]) for number, forms in jobs],
        )
        ranks = {number: (-1, -math.inf) for number, _ in jobs}
        for (number, _), candidate in zip(jobs, found, strict=True):
            rank = (sum(term.kept_form(candidate.text) is not None for term in terms[number]), candidate.score)
            if rank > ranks[number]:
                ranks[number], best[number] = rank, candidate
        return [
            TermResult(candidate, tuple(term_use(term, candidate.text, without.text) for term in of_line))
            for candidate, without, of_line in zip(best, free, terms, strict=True)
        ]

    def search(self, lines: Sequence[str], constraints: Sequence[TargetConstraints]) -> list[Candidate]:
        """Translate sentences under constraints."""
        places = [f"{self.glossary.name}: a sentence"] * len(lines)
        found = self.translator.translate(lines, constraints=constraints, places=places) if lines else []
        return [of_line[0] for of_line in found]

    def constraints(self, forms: Sequence[str], required: Sequence[str]) -> TargetConstraints:
        """Return the constraints of a sentence."""
        return self.builder.make("", [*forms, *required], f"{self.glossary.name}: a sentence")


def term_use(term: Term, translation: str, free: str) -> TermUse:
    """Return how a term was kept in a translation, and whether the free translation had it."""
    return TermUse(term, term.kept_form(translation), term.kept_form(free) is not None)


def combinations(terms: Sequence[Term], free: str) -> list[tuple[str, ...]]:
    """Return the combinations of target forms to search, preferred ones first.

    A term that the free translation has keeps the form that it has there.
    """
    options = [(kept,) if (kept := term.kept_form(free)) is not None else term.targets for term in terms]
    return list(itertools.islice(itertools.product(*options), MAX_COMBINATIONS))
