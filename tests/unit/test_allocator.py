"""Freed memory is kept, and returned on request, in a process of its own."""

import subprocess
import sys

import pytest

from nmt.allocator import c_library

CODE = """
import re
from nmt.allocator import keep_memory, return_memory
def resident():
    return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read()).group(1)) / 1024
assert keep_memory()
before = resident()
blocks = [bytearray(b"x") * (1 << 20) for _ in range(100)]  # 1 MiB each
gaps = blocks[::10]
del blocks
kept = resident()
return_memory()
print(kept - before, resident() - before)
"""


@pytest.mark.skipif(c_library() is None, reason="needs glibc")
def test_memory_between_blocks_in_use_is_kept_until_it_is_returned() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    kept, after = map(float, done.stdout.split())
    assert kept > 95
    assert 8 < after < 20  # ten blocks of 1 MiB are in use
