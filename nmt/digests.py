"""A set of 64-bit digests that takes little memory, to know sentences again without keeping them."""

from array import array
from hashlib import blake2b

_SMALLEST = 1 << 10


def digest(text: str, kind: bytes = b"") -> int:
    """A number below 2**64 that stands for a text.

    Args:
        text: without lone surrogates.
        kind: at most 16 bytes; the same text of two kinds has two digests.

    Two of n texts share one with a probability of n**2 / 2**65: 3e-8 in a million, 3e-6 in ten.
    """
    return int.from_bytes(blake2b(text.encode(), digest_size=8, person=kind).digest(), "little")


class DigestSet:
    """A set of numbers from 1 to 2**64 - 1, of which 0 is taken to be 1.

    A hash table with open addressing and linear probing (Knuth, The Art of Computer Programming 3, 6.4, algorithm L) in
    one array, at most two thirds full: 12 to 24 bytes a number, where Python's set of integers takes about 70.
    """

    def __init__(self) -> None:
        self.slots = array("Q", [0]) * _SMALLEST
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def __contains__(self, number: int) -> bool:
        return self.slots[self.find(number or 1)] != 0

    def add(self, number: int) -> bool:
        """Returns whether it was not in the set before."""
        number = number or 1
        slot = self.find(number)
        if self.slots[slot]:
            return False
        self.slots[slot] = number
        self.count += 1
        if 3 * self.count > 2 * len(self.slots):
            self.grow()
        return True

    def find(self, number: int) -> int:
        """The slot that holds the number, or the empty one that it belongs in."""
        slots = self.slots
        last = len(slots) - 1
        slot = number & last  # digests are random, and so are their lowest bits
        while (there := slots[slot]) and there != number:
            slot = (slot + 1) & last
        return slot

    def grow(self) -> None:
        before = self.slots
        self.slots = array("Q", [0]) * (2 * len(before))
        for number in before:
            if number:
                self.slots[self.find(number)] = number
