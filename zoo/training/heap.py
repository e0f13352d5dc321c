"""Memory of a training is kept for the next step, and not given back to the system and asked for anew."""

from __future__ import annotations

import ctypes
import sys

# numbers of malloc.h of the GNU C library
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_memory() -> bool:
    """Have the C library keep freed memory, for this process, from now on.

    Each step asks for the same large blocks. By default the GNU C library gets each from the system and gives it back,
    and the system fills it with zeros page by page: a tenth of the time of a step on two cores. Not for a server, whose
    memory would stay as large as its largest job.

    Returns:
        Whether it is so; not with other C libraries.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # a library that has the function for its name only returns 0
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
