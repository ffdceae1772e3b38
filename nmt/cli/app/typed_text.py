"""Literal text on the command line: values of text keys are never parsed as numbers or booleans.

Hydra parses a value by its form: 1.20 and 2026_11_28 are numbers, which become 1.2 and 20261128 when they are converted
back to text. Here the type of the key decides, as `nmt.config.text_keys` does for YAML.
"""

from dataclasses import is_dataclass, make_dataclass
from functools import cache
from typing import Any

from hydra.conf import HydraConf
from hydra.core.override_parser.overrides_visitor import HydraOverrideVisitor
from hydra.grammar.gen.OverrideLexer import OverrideLexer

from nmt.config import child, is_text, type_at

NUMERIC_FUNCTIONS = ("range", "interval", "int", "float", "bool")
"""Functions of Hydra's override grammar whose arguments are numbers, independently of the type of the key."""


@cache
def root_of(schema: type | None) -> type:
    """Return the type of a command's whole tree, including the keys of Hydra."""
    return make_dataclass("Root", [("hydra", HydraConf, None)], bases=(schema,) if schema else ())


def hint_of_key(schema: type | None, key: str) -> Any:
    """Return the type of a key on the command line; for a group, whose value is a file name, it is text."""
    name, _, _ = key.partition("@")
    hint = type_at(root_of(schema), name.replace("/", "."))
    return str if "/" in name or (hint is Any and "." not in name) else hint


class TextVisitor(HydraOverrideVisitor):  # type: ignore[misc]  # mypy does not read hydra
    """Hydra's visitor of overrides, which keeps the value of a text key literal."""

    schema: type | None = None
    """Schema of the command."""

    def __init__(self, functions: Any) -> None:
        super().__init__(functions)
        self.hint: Any = Any
        self.whole = False
        """True while the primitive is the whole value, so that the spaces around it belong to it."""

    def visitOverride(self, ctx: Any) -> Any:
        node = ctx.key()
        self.hint = Any if node is None else hint_of_key(self.schema, node.getText())
        return super().visitOverride(ctx)

    def visitValue(self, ctx: Any) -> Any:
        self.whole = ctx.element() is not None and ctx.element().primitive() is not None
        return super().visitValue(ctx)

    def visitListContainer(self, ctx: Any) -> Any:
        return self.visit_inside("", lambda: super(TextVisitor, self).visitListContainer(ctx))

    def visitDictKeyValuePair(self, ctx: Any) -> Any:
        key = ctx.dictKey().getText().strip()
        return self.visit_inside(key, lambda: super(TextVisitor, self).visitDictKeyValuePair(ctx))

    def visitDictKey(self, ctx: Any) -> Any:
        return super()._createPrimitive(ctx)

    def visitFunction(self, ctx: Any) -> Any:
        before = self.hint
        if ctx.getChild(0).getText() in NUMERIC_FUNCTIONS:
            self.hint = Any
        try:
            return super().visitFunction(ctx)
        finally:
            self.hint = before

    def visitPrimitive(self, ctx: Any) -> Any:
        value = super()._createPrimitive(ctx)
        is_group = is_dataclass(self.hint)  # its value is a file name
        if value is None or not (is_group or is_text(self.hint)):
            return value
        if isinstance(value, (bool, int, float)):
            value = ctx.getText().strip()
        last = ctx.getChild(-1)
        spaces = self.whole and type(value) is str and last.symbol.type == OverrideLexer.WS
        return value + last.getText() if spaces else value

    def visit_inside(self, name: str, visit: Any) -> Any:
        """Visit an item of a container with the type of the item."""
        before, self.hint = self.hint, child(self.hint, name)
        try:
            return visit()
        finally:
            self.hint = before
