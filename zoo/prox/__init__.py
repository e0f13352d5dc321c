"""Proximal operators: what a solver may apply after each update, without retraining.

Each is an object with one method, called with x (B, 3, H, W) and returning the same shape. `Compose` chains them.
"""

from .base import Box, Compose, Prox, TotalVariation
from .data import DataConsistency
from .degradation import Degradation, upsample
from .photorealism import Photorealism
from .temporal import TemporalConsistency

__all__ = [
    "Box",
    "Compose",
    "DataConsistency",
    "Degradation",
    "Photorealism",
    "Prox",
    "TemporalConsistency",
    "TotalVariation",
    "upsample",
]
