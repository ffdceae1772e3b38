"""Hypothesis settings and strategies of the fuzz tests.

`make test` draws the same few examples each time; `make fuzz` draws $NMT_FUZZ new ones per test.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from nmt.errors import UserError

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
examples = os.environ.get("NMT_FUZZ")
fuzzed = (
    settings(max_examples=25, derandomize=True, deadline=None, database=None)
    if examples is None
    else settings(max_examples=int(examples), deadline=None, print_blob=True, suppress_health_check=SLOW)
)

TEXT = [b"\n", b"\r\n", b"\t", b"\r", b"\x00", b"\xff", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"tea ", b"\x1b[2J"]
BYTES = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(st.sampled_from(TEXT), max_size=20).map(b"".join),
)
NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([0, -1, 2**63, 2**64, 10**30, 1e308]))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=8), st.sampled_from(["${seed}", "???", "null"]))
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@contextmanager
def or_refused(*words: str) -> Iterator[None]:
    """Accept a `UserError` of one line that contains one of these words; fail on another `UserError`."""
    try:
        yield
    except UserError as error:
        message = str(error)
        if "\n" in message or not any(word in message for word in words):
            raise AssertionError(f"the error is not one line with one of {words}: {message}") from error


@st.composite
def mutated(draw: st.DrawFn, whole: bytes) -> bytes:
    """Change, delete or insert a few bytes."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        length = draw(st.integers(0, 12))
        content[at : at + draw(st.sampled_from([0, length, len(content)]))] = draw(st.binary(max_size=length))
    return bytes(content)


def replaced(tree: object, at: int, value: object) -> object:
    """Return a tree with the node `at` (modulo the number of nodes) replaced."""
    if at == 0 or not isinstance(tree, (dict, list)) or not tree:
        return value
    which = (at - 1) % len(tree)
    deeper = (at - 1) // len(tree)
    if isinstance(tree, list):
        return [replaced(child, deeper, value) if number == which else child for number, child in enumerate(tree)]
    chosen = list(tree)[which]
    return tree | {chosen: replaced(tree[chosen], deeper, value)}
