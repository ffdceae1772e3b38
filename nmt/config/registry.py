"""Registry of the names that a configuration key accepts: built-in parts, and parts that a user registers.

A configuration and a run hold the name only. It refers to a class or function that the running process has registered
before; nothing is imported by name.
"""

import difflib
import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from nmt.errors import UserError

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
RESERVED = ("null", "none", "true", "false", "yes", "no", "on", "off", "nan", "inf")
"""Names that a configuration file could hold with another meaning."""


class Registry:
    """Built-in names of one kind of part, and the parts that a user has registered by name."""

    def __init__(self, noun: str, builtin: type[StrEnum]) -> None:
        """
        Args:
            noun: the kind of part, such as cell; the public function for it is `nmt.register_NOUN`.
            builtin: names of the built-in parts.
        """
        self.noun = noun
        self.builtin = [str(member) for member in builtin]
        self.registered: dict[str, Any] = {}

    @property
    def names(self) -> list[str]:
        """All names, built-in ones first."""
        return [*self.builtin, *self.registered]

    def register(self, name: str, part: Any) -> None:
        """Make a class or function available under a name.

        The same definition may be registered again, as when a cell of a notebook runs twice; the newer one is used.

        Raises:
            UserError: the name cannot be used, or another part has it.
        """
        check_name(self.noun, name)
        if name in self.builtin:
            raise UserError(f"the {self.noun} {name} is built in; register your own under another name")
        before = self.registered.get(name)
        if before is not None and definition(before) != definition(part):
            raise UserError(
                f"the {self.noun} {name} is registered already, as {definition(before)}; choose another name"
            )
        self.registered[name] = part

    def find(self, name: str) -> Any:
        """Return the part that was registered under a name.

        Raises:
            UserError: no part was.
        """
        if name not in self.registered:
            raise UserError(f"the {self.noun} {name!r:.80} {self.missing(name)}")
        return self.registered[name]

    def missing(self, name: str) -> str:
        """Return the end of a sentence about a name that is neither built in nor registered."""
        near = difflib.get_close_matches(name, self.names, n=1)
        correct = f"did you mean {near[0]}? Otherwise" if near else "correct the name, or"
        return (
            f"is neither built in ({', '.join(self.builtin)}) nor registered; {correct} import the module that "
            f"calls nmt.register_{self.noun}({name!r:.80}, ...)"
        )

    def problems(self, config: Any, field: str) -> Iterator[tuple[str, str]]:
        """Yield a problem unless a field of a configuration holds one of the names or null."""
        value = getattr(config, field)
        if value is not None and value not in self.names:
            yield field, f"is {value!r:.80}, which {self.missing(value)}"


def check_name(noun: str, name: Any) -> None:
    """Raise a UserError if a configuration could misread the name of a registered part."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED:
        raise UserError(
            f"{name!r:.80} cannot be the name of a registered {noun}; use lower-case letters, digits and '_', "
            "beginning with a letter"
        )


def definition(part: Any) -> str:
    """Return the module and name under which a class or function was defined."""
    return f"{getattr(part, '__module__', '?')}.{getattr(part, '__qualname__', type(part).__qualname__)}"
