"""Translation with a glossary: terms become constraints where the translation without them does not have them.

A sentence is first translated freely. If a form of every term is in the translation, it stays, so that the model
chooses the inflection. Otherwise the sentence is translated under lexical constraints (Post and Vilar 2018): once for
each combination of the forms of its terms, up to `MAX_COMBINATIONS`. If the model has attention, the free translation
with the terms in place of the words that are aligned to them is a candidate too. The candidate counts with the most
terms, then with the fewest of the words that a term replaces, then with the most terms aligned to their source terms,
then with the fewest other words aligned to these, then with the best score.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from nmt.config import SearchKind
from nmt.console import counted
from nmt.decoding import Candidate, ConstraintBuilder, TargetConstraints, Translator, align_words
from nmt.decoding.alignment import Link
from nmt.documents.glossary import Glossary, Term, TermMatch
from nmt.documents.protection import Span
from nmt.documents.substitution import Substitution, carried, form_places, placement, rescored, substituted
from nmt.errors import UserError

MAX_COMBINATIONS = 8
"""Maximum number of combinations of target forms that are searched for a sentence."""


class TermSource(StrEnum):
    """Origin of a term in a translation."""

    free = "free"
    """The free translation has it."""
    constraint = "constraint"
    """Constrained search."""
    replacement = "replacement"
    """Replacement of the words aligned to the source term."""
    missed = "missed"
    """The translation does not have it."""


@dataclass(frozen=True)
class TermUse:
    """Result for one term of one sentence."""

    term: Term
    kept: str | None
    """Form in the translation; None: the term is missing."""
    source: TermSource


@dataclass(frozen=True)
class TermResult:
    """Translation of a sentence with its terms."""

    candidate: Candidate
    uses: tuple[TermUse, ...]
    links: list[Link] | None = None
    """Links of its words; None: they are those of attention."""


@dataclass(frozen=True)
class TermCandidate:
    """Candidate of a sentence with missing terms."""

    number: int
    """Number of the sentence."""
    candidate: Candidate
    source: TermSource
    links: list[Link]
    """Links of its words; empty if the model has no attention."""
    rank: tuple[int, int, int, int, float]
    """Terms kept, minus the number of replaced words that it has, its `placement`, score."""


@dataclass
class TermReport:
    """Terms kept and missed, over all sentences."""

    sentences: list[Sequence[TermUse]] = field(default_factory=list)
    """Terms of each sentence."""

    def summary(self, name: str) -> str:
        """Return the report as one line."""
        uses = [use for of_sentence in self.sentences for use in of_sentence]
        counts = Counter(use.source for use in uses)
        return (
            f"{name}: {counted(len(uses), 'term')} in {sum(map(bool, self.sentences))} of "
            f"{counted(len(self.sentences), 'sentence')}; "
            f"{counts[TermSource.free]} in the free translation, {counts[TermSource.constraint]} by constraints, "
            f"{counts[TermSource.replacement]} by replacement, {counts[TermSource.missed]} missed"
        )

    def rows(self) -> list[str]:
        """Return the report as tab-separated lines with a line of column names; sentences count from 1."""
        rows = ["sentence\tsource\ttarget\tresult\tform"]
        for number, of_sentence in enumerate(self.sentences, start=1):
            for use in of_sentence:
                term = use.term
                rows.append(f"{number}\t{term.sources[0]}\t{term.targets[0]}\t{use.source}\t{use.kept or ''}")
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
        self.attends = translator.attends
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
        matches = [self.glossary.find(line) for line in lines]
        terms = [list(dict.fromkeys(match.term for match in of_line)) for of_line in matches]
        free = self.search(lines, [self.constraints((), texts) for texts in required])
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
        constrained = [(number, candidate) for (number, _), candidate in zip(jobs, found, strict=True)]
        chosen: dict[int, TermCandidate] = {}
        for each in self.candidates(lines, matches, free, jobs, constrained):
            if each.number not in chosen or each.rank > chosen[each.number].rank:
                chosen[each.number] = each
        results = []
        for number, candidate in enumerate(free):
            best = chosen.get(number)
            source, links = TermSource.free, None
            if best is not None:
                candidate, source = best.candidate, best.source
                links = best.links if self.attends else None
            uses = tuple(term_use(term, candidate, free[number], source) for term in terms[number])
            results.append(TermResult(candidate, uses, links))
        return results

    def candidates(
        self,
        lines: Sequence[str],
        matches: Sequence[Sequence[TermMatch]],
        free: Sequence[Candidate],
        jobs: Sequence[tuple[int, tuple[str, ...]]],
        constrained: Sequence[tuple[int, Candidate]],
    ) -> list[TermCandidate]:
        """Return the candidates of the sentences with missing terms: of constrained search, and with replaced words.

        Args:
            lines: the sentences.
            matches: terms of each sentence.
            free: free translation of each sentence.
            jobs: number of a sentence, and a form of each of its terms.
            constrained: number of a sentence, and its translation under the constraint of these forms.
        """
        numbers = sorted({number for number, _ in jobs})
        links_of = dict(zip(numbers, self.links(lines, [(number, free[number]) for number in numbers]), strict=True))
        edited = self.replaced(lines, matches, free, jobs, links_of) if self.attends else []
        old: dict[int, set[str]] = {number: set() for number in numbers}
        for number, _, edit in edited:
            old[number].update(edit.replaced)
        result = []

        def add(number: int, candidate: Candidate, source: TermSource, links: list[Link]) -> None:
            kept = kept_forms(matches[number], candidate.text)
            if source == TermSource.constraint and self.attends:
                links = carried(lines[number], (free[number].text, links_of[number]), (candidate.text, links), kept)
            remaining = sum(len(form_places(candidate.text, word)) for word in old[number])
            placed = placement(lines[number], candidate.text, links, kept)
            rank = (len(set(kept.values())), -remaining, *placed, candidate.score)
            result.append(TermCandidate(number, candidate, source, links, rank))

        for (number, candidate), links in zip(constrained, self.links(lines, constrained), strict=True):
            add(number, candidate, TermSource.constraint, links)
        for number, candidate, edit in edited:
            add(number, candidate, TermSource.replacement, edit.links)
        return result

    def replaced(
        self,
        lines: Sequence[str],
        matches: Sequence[Sequence[TermMatch]],
        free: Sequence[Candidate],
        jobs: Sequence[tuple[int, tuple[str, ...]]],
        links_of: Mapping[int, list[Link]],
    ) -> list[tuple[int, Candidate, Substitution]]:
        """Return free translations with missing terms in place of the words linked to their source terms.

        Args:
            lines: the sentences.
            matches: terms of each sentence.
            free: free translation of each sentence.
            jobs: number of a sentence, and a form of each of its terms.
            links_of: links of the words of the free translations.
        """
        edits: dict[tuple[int, str], Substitution] = {}
        for number, forms in jobs:
            form_of = dict(zip(dict.fromkeys(match.term for match in matches[number]), forms, strict=True))
            missing = {
                (match.start, match.end): form_of[match.term]
                for match in matches[number]
                if match.term.kept_form(free[number].text) is None
            }
            edit = substituted(lines[number], free[number].text, links_of[number], missing)
            if edit is not None:
                edits[number, edit.text] = edit
        candidates = rescored(self.translator, [lines[number] for number, _ in edits], [text for _, text in edits])
        return [
            (number, candidate, edit)
            for ((number, _), edit), candidate in zip(edits.items(), candidates, strict=True)
            if candidate is not None
        ]

    def links(self, lines: Sequence[str], candidates: Sequence[tuple[int, Candidate]]) -> list[list[Link]]:
        """Return the links of words of candidates, each with the number of its sentence; none without attention."""
        if not self.attends:
            return [[] for _ in candidates]
        chosen = [lines[number] for number, _ in candidates]
        found = align_words(self.translator, chosen, [[candidate] for _, candidate in candidates], punctuation=False)
        return [of_line[0] for of_line in found]

    def search(self, lines: Sequence[str], constraints: Sequence[TargetConstraints]) -> list[Candidate]:
        """Translate sentences under constraints."""
        places = [f"{self.glossary.name}: a sentence"] * len(lines)
        found = self.translator.translate(lines, constraints=constraints, places=places) if lines else []
        return [of_line[0] for of_line in found]

    def constraints(self, forms: Sequence[str], required: Sequence[str]) -> TargetConstraints:
        """Return the constraints of a sentence."""
        return self.builder.make("", [*forms, *required], f"{self.glossary.name}: a sentence")


def kept_forms(matches: Sequence[TermMatch], translation: str) -> dict[Span, str]:
    """Return the forms of terms that a translation has, by the span of the term in the source."""
    found = {(match.start, match.end): match.term.kept_form(translation) for match in matches}
    return {span: form for span, form in found.items() if form is not None}


def term_use(term: Term, best: Candidate, free: Candidate, source: TermSource) -> TermUse:
    """Return how a term was kept in the best translation, which is from this source; the free one may have it too."""
    kept = term.kept_form(best.text)
    if kept is None:
        return TermUse(term, None, TermSource.missed)
    return TermUse(term, kept, source if term.kept_form(free.text) is None else TermSource.free)


def combinations(terms: Sequence[Term], free: str) -> list[tuple[str, ...]]:
    """Return the combinations of target forms to search, preferred ones first.

    A term that the free translation has keeps the form that it has there.
    """
    options = [(kept,) if (kept := term.kept_form(free)) is not None else term.targets for term in terms]
    return list(itertools.islice(itertools.product(*options), MAX_COMBINATIONS))
