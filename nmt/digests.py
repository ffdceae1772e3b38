"""64-bit digests of texts, and a compact set of them that detects repeated sentences."""

from array import array
from hashlib import blake2b

_MIN_SLOTS = 1 << 10


def digest(text: str, kind: bytes = b"") -> int:
    """Return a 64-bit digest of a text, as a number below 2**64.

    Two of n texts share a digest with a probability of n**2 / 2**65: 3e-8 for a million texts, 3e-6 for ten million.

    Args:
        text: text without lone surrogates.
        kind: at most 16 bytes; the same text has different digests for different kinds.
    """
    return int.from_bytes(blake2b(text.encode(), digest_size=8, person=kind).digest(), "little")


class DigestSet:
    """Set of numbers below 2**64. 0 marks an empty slot, so that the number 0 is stored as 1.

    A hash table with open addressing and linear probing (Knuth, The Art of Computer Programming 3, 6.4, algorithm L) in
    one array, at most two thirds full: 12 to 24 bytes per number, where Python's set of integers takes about 70.
    """

    def __init__(self) -> None:
        self.slots = array("Q", [0]) * _MIN_SLOTS
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def __contains__(self, number: int) -> bool:
        return self.slots[self.find_slot(number or 1)] != 0

    def add(self, number: int) -> bool:
        """Add a number and return whether it is new."""
        number = number or 1
        slot = self.find_slot(number)
        if self.slots[slot]:
            return False
        self.slots[slot] = number
        self.count += 1
        if 3 * self.count > 2 * len(self.slots):
            self.grow()
        return True

    def find_slot(self, number: int) -> int:
        """Return the slot that holds the number, or the empty slot where it belongs."""
        slots = self.slots
        last = len(slots) - 1
        slot = number & last  # digests are random, and so are their lowest bits
        while (occupant := slots[slot]) and occupant != number:
            slot = (slot + 1) & last
        return slot

    def grow(self) -> None:
        """Double the number of slots."""
        numbers = self.slots
        self.slots = array("Q", [0]) * (2 * len(numbers))
        for number in numbers:
            if number:
                self.slots[self.find_slot(number)] = number
