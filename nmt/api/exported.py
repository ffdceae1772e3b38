"""Exported folders in Python: translation without torch."""

import copy
from collections.abc import Sequence
from typing import Any, overload

from nmt.api.results import Translation, changed_search, check_lengths, list_of_lines, translation_of
from nmt.config import SearchConfig
from nmt.decoding import ConstraintBuilder
from nmt.export import ExportedTranslator


class FolderTranslator:
    """Exported model with its tokenizers and search settings; made by `nmt.load`."""

    def __init__(self, translator: ExportedTranslator) -> None:
        self.base = translator
        """Translator with the search settings of the run."""
        self.step = translator.folder.settings.step
        """Training step of the checkpoint."""

    def __repr__(self) -> str:
        return f"<translator of {self.base.folder.path} at step {self.step}>"

    @property
    def search(self) -> SearchConfig:
        """Search settings of the run, which keyword arguments of `translate` replace."""
        return self.base.config

    @overload
    def translate(
        self, sentences: Sequence[str], *, n_best: None = None, prefixes: Sequence[str] | None = None, **search: Any
    ) -> list[Translation]: ...

    @overload
    def translate(
        self, sentences: Sequence[str], *, n_best: int, prefixes: Sequence[str] | None = None, **search: Any
    ) -> list[list[Translation]]: ...

    def translate(
        self,
        sentences: Sequence[str],
        *,
        n_best: int | None = None,
        prefixes: Sequence[str] | None = None,
        **search: Any,
    ) -> list[Translation] | list[list[Translation]]:
        """Return the best translation of each sentence, or with `n_best` a list of its n best translations.

        Args:
            sentences: sentences to translate.
            n_best: number of translations per sentence, best first; None: the best one, not in a list.
            prefixes: beginning of the translation of each sentence; "" leaves it free.
            search: search settings that replace those of the run, such as `beam_size=5`.

        Raises:
            UserError: a search setting is wrong or needs torch, or the vocabulary cannot write a prefix.
        """
        lines = list_of_lines(sentences, "sentences")
        translator = copy.copy(self.base)
        translator.config = changed_search(self.search, search | {"n_best": 1 if n_best is None else n_best})
        constraints = None
        if prefixes is not None:
            starts = list_of_lines(prefixes, "prefixes")
            check_lengths(lines, prefixes=starts)
            builder = ConstraintBuilder(translator.tgt)
            constraints = [builder.make(start, (), f"sentence {i}") for i, start in enumerate(starts, start=1)]
        candidates = translator.translate(lines, constraints=constraints)
        found = [[translation_of(candidate, translator.tgt, None) for candidate in line] for line in candidates]
        return found if n_best is not None else [line[0] for line in found]
