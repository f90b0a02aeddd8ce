"""A training's memory from step to step."""

import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from compress.training.machine import keep_freed_memory

def again():
    np.ones(2**23)  # 64 MB, freed at once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**23)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(again())
keep_freed_memory()
print(again())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_a_block_that_comes_again_is_not_cleared_by_the_kernel():
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    by_itself, kept = map(int, done.stdout.split())
    if not by_itself:
        pytest.skip("this C library keeps such blocks by itself")
    assert kept < by_itself / 10
