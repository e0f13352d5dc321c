"""Which pictures of a set are kept from training: decided by their order alone, in one place for training and tests."""

from __future__ import annotations


def spread(total: int, count: int) -> list[int]:
    """`count` of the numbers 0 .. total - 1, evenly spread; at most half of them.

    >>> spread(10, 4)
    [0, 2, 5, 7]
    """
    count = min(count, total // 2)
    return [i * total // count for i in range(count)]
