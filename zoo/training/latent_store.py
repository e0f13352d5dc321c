"""One latent per training image, in float16 on disk: as many as there is room for, and safe against kills.

The file is updated in place, so by itself it would run ahead of the checkpoint. Therefore rows that change are kept in
memory until a checkpoint holds them too; only the first call after that checkpoint writes them into the file. Whenever
a run is killed, the file differs from the state at the last checkpoint at most in rows that this checkpoint brings.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


class LatentStore:
    """A table of latents, rows of float16. A row that was never written is what `start` gives for it.

    Args:
        folder: Where the file goes, `latents-<token>.f16`; made when the first rows are written.
        count: Number of rows.
        shape: Of one latent.
        start: Row numbers to the latents that they start as, the same every time.
    """

    def __init__(self, folder: Path, count: int, shape: tuple[int, ...], start: Callable[[list[int]], Tensor]) -> None:
        self.folder, self.count, self.shape = folder, count, tuple(shape)
        self.token = secrets.token_hex(8)
        self.seen = torch.zeros(count, dtype=torch.bool)
        """Which rows were ever written."""
        self._start = start
        self._fresh: dict[int, Tensor] = {}  # changed since the last checkpoint
        self._saved: dict[int, Tensor] = {}  # in the last checkpoint, perhaps not yet in the file
        self._table: np.memmap | None = None

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / f"latents-{self.token}.f16"

    def rows(self, index: Iterable[int]) -> Tensor:
        """Latents of some rows, float32 (B, *shape)."""
        numbers = [int(number) for number in index]
        new = [number for number in dict.fromkeys(numbers) if not self.seen[number]]
        begun = dict(zip(new, self._start(new), strict=True)) if new else {}
        return torch.stack([(begun[n] if n in begun else self._row(n)).float() for n in numbers])

    def _row(self, number: int) -> Tensor:
        for overlay in (self._fresh, self._saved):
            if number in overlay:
                return overlay[number]
        return torch.from_numpy(self._open()[number].copy()).reshape(self.shape)

    def put(self, index: Iterable[int], latents: Tensor) -> None:
        """Replace rows, (B, *shape); of a row that is named twice, the last counts."""
        for number, latent in zip(index, latents.detach().cpu().half(), strict=True):
            self._fresh[int(number)] = latent.clone()
            self.seen[int(number)] = True

    def settle(self) -> None:
        """Write into the file what the last checkpoint holds. Call it when that checkpoint is on disk."""
        if not self._saved:
            return
        table = self._open()
        for number, latent in self._saved.items():
            table[number] = latent.flatten().numpy()
        table.flush()
        self._saved = {}

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint: the rows that the file may lack, and what identifies it."""
        self._saved |= self._fresh
        self._fresh = {}
        numbers = sorted(self._saved)
        values = torch.stack([self._saved[number] for number in numbers]) if numbers else torch.empty(0)
        return {"token": self.token, "seen": self.seen.clone(), "rows": torch.tensor(numbers), "values": values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`.

        Raises:
            ValueError: the file is gone or of another size, or the state is of another table.
        """
        if len(state["seen"]) != self.count:
            raise ValueError(f"data: the run has latents of {len(state['seen'])} images, the data are {self.count} now")
        self.token, self.seen, self._table = state["token"], state["seen"].clone(), None
        self._fresh = {}
        self._saved = {int(number): value.clone() for number, value in zip(state["rows"], state["values"], strict=True)}
        if any(self.seen[number] and number not in self._saved for number in range(self.count)):
            self._open(make=False)

    def _open(self, make: bool = True) -> np.memmap:
        if self._table is None:
            size = 2 * self.count * math.prod(self.shape)
            if not self.path.exists():
                if not make:
                    raise ValueError(f"{self.path} is gone, and with it the latents of this run; start it afresh")
                self.folder.mkdir(parents=True, exist_ok=True)
                with open(self.path, "wb") as file:
                    file.truncate(size)
            if self.path.stat().st_size != size:
                raise ValueError(f"{self.path} has {self.path.stat().st_size} bytes, expected {size}; start afresh")
            self._table = np.memmap(self.path, np.float16, "r+", shape=(self.count, math.prod(self.shape)))
        return self._table
