"""Terms and protected text of the command `translate`, for lines and documents."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, cast

from nmt.config import DataConfig, Protection, TranslateConfig
from nmt.data import check_new_text_file, written
from nmt.decoding import Candidate, LineTranslator, TargetConstraints
from nmt.documents.glossary import Glossary
from nmt.documents.inline import InlineCounts, Segment, translate_segments
from nmt.documents.lines import FOR_DOCUMENTS, segment_of_line, with_protection
from nmt.documents.plain import placeholder_symbols, plain_translation, writes_text
from nmt.errors import UserError

if TYPE_CHECKING:  # they need torch, and an exported folder has no glossary
    from nmt.decoding import Translator
    from nmt.documents.terms import TermTranslation, TermUse

log = logging.getLogger(__name__)


class TermsAndTags:
    """Translation of segments and lines with the glossary and the protected text of a command."""

    def __init__(self, translator: LineTranslator, config: TranslateConfig, data: DataConfig) -> None:
        """
        Args:
            translator: the translator.
            config: configuration of the command.
            data: data configuration of the run.

        Raises:
            UserError: the glossary cannot be read, or the search does not support it.
        """
        default: Collection[Protection] = FOR_DOCUMENTS if config.document is not None else ()
        self.kinds = default if config.protect is None else tuple(config.protect)
        self.counts = InlineCounts()
        self.uses: list[Sequence[TermUse]] = []
        """Terms of each sentence."""
        self.report_file = config.glossary_report
        if self.report_file is not None and not config.overwrite:
            check_new_text_file(self.report_file, "glossary_report")
        if (config.glossary is not None or self.kinds) and translator.config.n_best > 1 and config.document is None:
            raise UserError(
                f"search.n_best={translator.config.n_best}: with a glossary or protect a line has one translation; "
                "give search.n_best=1"
            )
        self.terms: TermTranslation | None = None
        if config.glossary is not None:
            from nmt.documents.terms import TermTranslation

            target = config.tgt_lang or data.tgt_lang
            trained = cast("Translator", translator)
            self.terms = TermTranslation(trained, Glossary.read(config.glossary, translator.src_lang, target))
        self.plain = plain_translation(translator, self.terms)
        self.symbols = placeholder_symbols(translator, data)
        self.writes = writes_text(translator)

    @property
    def needed(self) -> bool:
        """True if lines are translated in another way than by the translator alone."""
        return self.terms is not None or bool(self.kinds)

    def settings(self) -> tuple[Any, ...]:
        """Return everything that translations depend on."""
        terms = () if self.terms is None else self.terms.glossary.terms
        return tuple(self.kinds), self.symbols, [(term.sources, term.targets, term.case) for term in terms]

    def translate_markup(self, segments: Sequence[Segment], escape: Callable[[str], str] = str) -> list[str]:
        """Translate sentences with markup."""
        notes: list[tuple[Any, ...]] = []
        results = translate_segments(
            self.plain,
            [with_protection(segment, self.kinds) for segment in segments],
            escape=escape,
            symbols=self.symbols,
            writes=self.writes,
            counts=self.counts,
            notes=notes,
        )
        self.uses += notes
        return results

    def translate_lines(
        self,
        lines: Sequence[str],
        constraints: Sequence[TargetConstraints] | None = None,
        places: Sequence[str] | None = None,
    ) -> list[list[Candidate]]:
        """Translate lines, the best translation of each. They have no other constraints than their terms."""
        if self.kinds or self.terms is None:
            texts = self.translate_markup([segment_of_line(line, self.kinds) for line in lines])
            return [[Candidate(text, 0.0, 0.0)] for text in texts]
        results = self.terms(lines)
        self.uses += [result.uses for result in results]
        return [[result.candidate] for result in results]

    def finish(self) -> None:
        """Log the counts of protected text and terms, and write the report."""
        if summary := self.counts.summary():
            log.info("%s", summary)
        if self.terms is None:
            return
        from nmt.documents.terms import TermReport

        report = TermReport(self.uses)
        log.info("%s", report.summary(self.terms.glossary.name))
        if self.report_file is not None:
            with written(self.report_file) as file:
                file.writelines(f"{row}\n" for row in report.rows())
