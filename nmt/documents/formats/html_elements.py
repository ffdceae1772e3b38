"""Open elements of HTML, with the rules by which elements without an end tag are closed.

Source: HTML Living Standard, sections 13.1.2.4 (optional tags) and 13.2.6 (tree construction).
"""

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

VOID = frozenset(
    {
        *("area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "img", "input", "keygen", "link"),
        *("meta", "param", "source", "track", "wbr"),
    }
)
"""Elements that have no content."""
MAX_DEPTH = 512
"""Number of open elements that are stored. Browsers have the same limit, and it bounds the time per tag."""
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
ROWS = frozenset({"tr", "td", "th", "caption", "colgroup"})
SECTIONS = ROWS | {"tbody", "thead", "tfoot"}
SCOPE = frozenset({"applet", "caption", "html", "table", "td", "th", "marquee", "object", "template", "foreignobject"})
"""Elements out of which a tag within them closes nothing."""
TABLE_SCOPE = frozenset({"html", "table", "template"})
ENDS_PARAGRAPH = HEADINGS | {
    *("address", "article", "aside", "blockquote", "center", "dd", "details", "dialog", "dir", "div", "dl", "dt"),
    *("fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr", "li", "listing", "main", "menu"),
    *("nav", "ol", "p", "plaintext", "pre", "search", "section", "summary", "table", "ul", "xmp"),
}
"""Elements whose start tag closes an open paragraph."""
SPECIAL = (ENDS_PARAGRAPH | SECTIONS | SCOPE) | {
    *("body", "button", "frameset", "head", "iframe", "math", "noembed", "noframes", "noscript", "optgroup", "option"),
    *("script", "select", "style", "svg", "textarea", "title"),
}
"""Elements out of which the tag of an inline element closes nothing."""
IN_HEAD = frozenset(
    {"base", "basefont", "bgsound", "link", "meta", "noframes", "noscript", "script", "style", "template", "title"}
)
ITEM_SCOPE = SPECIAL - {"address", "div", "p", "li", "dt", "dd"}


class ClosingRule(NamedTuple):
    """Open elements that a start tag closes."""

    closed: Collection[str]
    """Names of the elements; everything within them is closed too."""
    scope: Collection[str]
    """Names of the elements out of which nothing is closed."""


def closing_rules() -> dict[str, list[ClosingRule]]:
    """Return the rules of each start tag that closes elements."""
    rules: dict[str, list[ClosingRule]] = {
        "li": [ClosingRule({"li"}, ITEM_SCOPE)],
        "dt": [ClosingRule({"dt", "dd"}, ITEM_SCOPE)],
        "dd": [ClosingRule({"dt", "dd"}, ITEM_SCOPE)],
        "td": [ClosingRule({"td", "th", "caption", "colgroup"}, TABLE_SCOPE | {"tr"})],
        "th": [ClosingRule({"td", "th", "caption", "colgroup"}, TABLE_SCOPE | {"tr"})],
        "tr": [ClosingRule(ROWS, TABLE_SCOPE)],
        "col": [ClosingRule({"caption"}, TABLE_SCOPE)],
        "option": [ClosingRule({"option"}, SPECIAL - {"option"})],
        "optgroup": [ClosingRule({"option", "optgroup"}, SPECIAL - {"option", "optgroup"})],
        "hr": [ClosingRule({"option", "optgroup"}, SPECIAL - {"option", "optgroup"})],
        "rb": [ClosingRule({"rb", "rt", "rp", "rtc"}, SPECIAL | {"ruby"})],
        "rtc": [ClosingRule({"rb", "rt", "rp", "rtc"}, SPECIAL | {"ruby"})],
        "rt": [ClosingRule({"rb", "rt", "rp"}, SPECIAL | {"ruby"})],
        "rp": [ClosingRule({"rb", "rt", "rp"}, SPECIAL | {"ruby"})],
        "a": [ClosingRule({"a"}, SCOPE)],
        "button": [ClosingRule({"button"}, SCOPE)],
        "select": [ClosingRule({"select"}, SCOPE)],
    }
    rules.update({name: [ClosingRule(SECTIONS, TABLE_SCOPE)] for name in SECTIONS - {"tr", "td", "th"}})
    rules.update({name: [ClosingRule(HEADINGS, SPECIAL - HEADINGS)] for name in HEADINGS})
    for name in ENDS_PARAGRAPH:
        rules.setdefault(name, []).append(ClosingRule({"p"}, SCOPE | {"button"}))
    return rules


CLOSING_RULES = closing_rules()
OUTSIDE_HEAD = ClosingRule({"head"}, SCOPE)


class OpenElement(NamedTuple):
    """Element without its end tag so far."""

    name: str
    kept: bool
    """True if its text is not translated."""


class OpenElements:
    """Stack of the open elements, the innermost one last."""

    def __init__(self) -> None:
        self.stack: list[OpenElement] = []
        self.numbers: Counter[str] = Counter()
        """Number of open elements of each name."""
        self.number_kept = 0
        """Number of open elements whose text is kept."""

    @property
    def kept(self) -> str | None:
        """Name of the outermost open element whose text is kept; None: the text is translated."""
        return next((element.name for element in self.stack if element.kept), None) if self.number_kept else None

    def close_before(self, name: str) -> None:
        """Close the elements that a start tag closes."""
        if name not in IN_HEAD:
            self.close_rule(OUTSIDE_HEAD)
        for rule in CLOSING_RULES.get(name, ()):
            self.close_rule(rule)

    def close_rule(self, rule: ClosingRule) -> None:
        """Close the outermost element of a rule, and everything within it."""
        if not any(self.numbers[name] for name in rule.closed):
            return
        outermost = None
        for place in range(len(self.stack) - 1, -1, -1):
            name = self.stack[place].name
            if name in rule.closed:
                outermost = place
            elif name in rule.scope:
                break
        if outermost is not None:
            self.remove(outermost, len(self.stack))

    def open(self, name: str, kept: bool) -> None:
        """Open an element. Beyond the greatest depth only elements whose text is kept are stored."""
        if len(self.stack) == MAX_DEPTH:
            if not kept or self.number_kept:
                return
            self.remove(MAX_DEPTH - 1, MAX_DEPTH)
        self.stack.append(OpenElement(name, kept))
        self.numbers[name] += 1
        self.number_kept += kept

    def remove(self, start: int, end: int) -> None:
        """Remove elements from the stack."""
        for element in self.stack[start:end]:
            self.numbers[element.name] -= 1
            self.number_kept -= element.kept
        del self.stack[start:end]

    def close(self, name: str) -> None:
        """Close the innermost element of a name, and everything within it.

        An end tag without an open element is ignored. The end tag of an inline element closes that element alone if
        blocks are open within it.
        """
        names = HEADINGS if name in HEADINGS else {name}
        if not any(self.numbers[name] for name in names):
            return
        blocked = False
        for place in range(len(self.stack) - 1, -1, -1):
            found = self.stack[place].name
            if found in names:
                self.remove(place, place + 1 if blocked else len(self.stack))
                return
            if found in end_scope(name):
                return
            blocked = blocked or (name not in SPECIAL and found in SPECIAL)


def end_scope(name: str) -> Collection[str]:
    """Return the names of the elements out of which an end tag closes nothing."""
    if name in SECTIONS or name in TABLE_SCOPE:
        return TABLE_SCOPE
    if name == "p":
        return SCOPE | {"button"}
    return SCOPE | {"ul", "ol"} if name == "li" else SCOPE
