"""Proximal operators: what a solver may apply after each update, without retraining.

Each is an object with one method, called with x (B, 3, H, W) and returning the same shape. `Compose` chains them; where
a `prox` is asked for, a list of them does as well.
"""

from .base import Box, Compose, Operators, Prox, TotalVariation, in_turn
from .data import DataConsistency
from .degradation import Degradation, upsample
from .photorealism import Photorealism
from .temporal import TemporalConsistency

__all__ = [
    "Box",
    "Compose",
    "DataConsistency",
    "Degradation",
    "Operators",
    "Photorealism",
    "Prox",
    "TemporalConsistency",
    "TotalVariation",
    "in_turn",
    "upsample",
]
