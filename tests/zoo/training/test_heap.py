"""Freed memory that stays with the process."""

import subprocess
import sys

import pytest

from zoo.training.heap import keep_memory

COUNT = """
import resource, sys
import torch
from zoo.training.heap import keep_memory

if sys.argv[1] == "keep":
    assert keep_memory()
torch.set_num_threads(1)
for step in range(20):  # it takes a few until a block of the heap fits
    if step == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.zeros(16, 1024, 1024)  # 64 MB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a property of the GNU C library")
def test_the_system_is_asked_for_it_once() -> None:
    faults = {}
    for way in ("keep", "usual"):
        done = subprocess.run([sys.executable, "-c", COUNT, way], capture_output=True, text=True)
        if way == "keep" and "AssertionError" in done.stderr:
            pytest.skip("another C library")
        assert done.returncode == 0, done.stderr
        faults[way] = int(done.stdout)
    assert faults["keep"] < faults["usual"] / 10


def test_elsewhere_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_memory() is False
