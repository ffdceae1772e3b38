"""Markers of Markdown's extensions stay as they are, and the text beside them is translated."""

import pytest
from markdown_it import MarkdownIt
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.tasklists import tasklists_plugin
from sample_documents import divided, translated

DOCUMENT = """- [ ] The dog runs.
- [x] The cat *sleeps*
  in the house.
  1. [X] A number

     [ ] not a task

The hotel[^1] is closed.[^long-name] It is *old*[^1].

[^1]: Word
[^long-name]: The first note.
  It continues.

    A second paragraph of the note.

    - an item

After the notes.

> [!NOTE]
> The garden is open.

> [!WARNING]\x20\x20
> **Two** sentences. Are here.

> [!tip]- A title
> The text.

Term
: The definition of it.
  It continues.
: Another *one*

First term
Second term

:   With a blank line

    and a second paragraph.

The area is $x^2$ and $a_1 * b_2$, or $`y`$ here.

$$
e = mc^2

and more
$$

$$a = b$$ (label)

The text $$x + y$$ is here. It costs $5 and the other $6.
"""


def segments(text: str) -> list[str]:
    """Return the sentences of a Markdown document."""
    return [segment.text for segment in divided(text, "markdown").segments]


def test_text_beside_markers_is_translated() -> None:
    assert segments(DOCUMENT) == [
        "The dog runs.",
        "The cat sleeps in the house.",
        "A number",
        "[ ] not a task",
        "The hotel is closed.",
        "It is old.",
        "Word",
        "The first note.",
        "It continues.",
        "A second paragraph of the note.",
        "an item",
        "After the notes.",
        "The garden is open.",
        "Two sentences.",
        "Are here.",
        "A title",
        "The text.",
        "Term",
        "The definition of it.",
        "It continues.",
        "Another one",
        "First term",
        "Second term",
        "With a blank line",
        "and a second paragraph.",
        "The area is $x^2$ and $a_1 * b_2$, or $`y`$ here.",
        "The text $$x + y$$ is here.",
        "It costs $5 and the other $6.",
    ]


def structure(text: str) -> list[object]:
    """Return the tokens by another implementation of the extensions, with the code, formulas and notes."""
    parser = MarkdownIt("commonmark").use(footnote_plugin).use(deflist_plugin).use(tasklists_plugin)
    parser.use(dollarmath_plugin, allow_labels=True, allow_space=False, allow_digits=False, double_inline=True)
    kept = ("math_inline", "math_inline_double", "math_block", "code_inline")
    result: list[object] = []
    for token in parser.parse(text):
        attributes = {name: value for name, value in token.attrs.items() if name != "title"}
        result.append((token.type, token.content if token.type in kept else "", attributes, str(token.meta)))
        result.append(
            [
                (child.type, child.content if child.type in (*kept, "html_inline") else "", str(child.meta))
                for child in token.children or []
                if child.type not in ("text", "text_special", "softbreak")
            ]
        )
    return result


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_another_implementation_reads_the_same_structure(end: str) -> None:
    text = DOCUMENT.replace("\n", end)
    assert translated(text, "markdown", str) == text
    result = translated(text, "markdown")
    assert structure(result) == structure(text)
    for marker in ("[!NOTE]", "[!tip]- A TITLE", "[^long-name]: THE", "- [x] THE", ": ANOTHER", "HOTEL[^1] IS"):
        assert marker in result


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- [ ] A\n", "- [ ] B\n"),
        ("* [x]  A\n", "* [x]  B\n"),
        ("[^n]: A\n", "[^n]: B\n"),
        ("> [!NOTE]\n> A\n", "> [!NOTE]\n> B\n"),
        ("> [!NOTE]\n>\n> A\n", "> [!NOTE]\n>\n> B\n"),
        ("$x$\n", "$x$\n"),
        ("$$\nA word\n$$\n", "$$\nA word\n$$\n"),
        ("> $$\n> A word\n> $$\n", "> $$\n> A word\n> $$\n"),
        ("[^1]\n", "[^1]\n"),
        ("![^1]\n", "![^1]\n"),
        ("`$` A `$`\n", None),
        ("$$\nA\n", None),
        ("- [y] A\n", None),
        ("[x] A\n", None),
        (": A\n", None),
    ],
)
def test_only_markers_are_kept(text: str, expected: str | None) -> None:
    result = translated(text, "markdown", lambda line: "B" if line == "A" else "C " + line)
    assert result == expected if expected is not None else "C " in result


def test_a_translation_does_not_become_a_marker() -> None:
    assert translated("A\n", "markdown", lambda line: ": B") == "\\: B\n"
    assert translated("A\n", "markdown", lambda line: "[^1]: B") == "\\[^1\\]: B\n"
    assert translated("- A\n", "markdown", lambda line: "[ ] B") == "- \\[ \\] B\n"
    assert translated("It is \\$5 and $6.\n", "markdown", str.lower) == "it is \\$5 and $6.\n"
