"""What super-resolution is told besides pictures, and what it accepts. Needs no torch."""

from __future__ import annotations

SCALES = (2, 3, 4)
BETAS = (1.0, 1.0, 1.0, 1.0, 0.0)
"""β of the five levels: conv5_1 is left out (Puy & Pérez 2019, section 5.6)."""
LAM = 50.0
"""λ_R, the same."""
STEPS = 30
"""Iterations of the optimisation; more change little, see docs/superres.md."""
MIN_SIDE = 16
"""Of the result and of the reference, pixels: below, the encoder sees nothing at its deepest layer."""
REFERENCE_SIDE = 1024
"""Of a larger reference the middle is used: it is never resized, because that would change the texture."""
OPTIMISED_PIXELS = 1_200_000
"""Largest result of the optimisation: L-BFGS keeps tens of pictures and the encoder's activations."""
SOLVED_PIXELS = 4_200_000
"""Largest result of a flexible solver, which holds the picture's activations at all levels."""
