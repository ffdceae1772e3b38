"""Digest set compared with Python's set, including collisions of slots, and its memory."""

import random
import sys
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.digests import DigestSet, digest

# Numbers with equal lowest bits collide in one slot; numbers with all bits set collide in the last slot.
NUMBERS = st.integers(1, 2**64 - 1) | st.builds(lambda high: high << 40 | 1023, st.integers(0, 9))


@given(st.lists(NUMBERS, max_size=60))
def test_it_holds_what_a_set_holds(numbers: list[int]) -> None:
    digests, expected = DigestSet(), set[int]()
    for number in numbers:
        assert (number in digests) == (number in expected)
        assert digests.add(number) == (number not in expected)
        expected.add(number)
        assert number in digests
        assert len(digests) == len(expected)


def test_it_grows_and_stays_small() -> None:
    source = random.Random(1)
    numbers = [source.getrandbits(64) for _ in range(20_000)]
    digests = DigestSet()
    for count, number in enumerate(numbers, start=1):
        assert digests.add(number)
        if count > 700:  # the smallest table is full by then
            assert 12 <= sys.getsizeof(digests.slots) / count < 24.5
    assert all(number in digests for number in numbers)
    assert not any(digests.add(number) for number in numbers)
    assert not any(source.getrandbits(64) in digests for _ in range(20_000))


def test_zero_is_one() -> None:
    digests = DigestSet()
    assert 0 not in digests
    assert digests.add(0)
    assert 0 in digests
    assert not digests.add(1)


@pytest.mark.parametrize(("text", "kind"), [("the house", b""), ("größer", b"de"), ("", b"en")])
def test_a_digest_is_blake2b_of_64_bits(text: str, kind: bytes) -> None:
    expected = blake2b(text.encode(), digest_size=8, person=kind).digest()
    assert digest(text, kind).to_bytes(8, "little") == expected


def test_the_same_text_of_another_kind_is_another() -> None:
    assert len({digest("die", b"en"), digest("die", b"de"), digest("die")}) == 3
