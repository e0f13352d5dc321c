"""What the zoo raises besides plain ValueError and TypeError. Each message ends with what to do about it."""

from __future__ import annotations


class UnknownModelError(ValueError):
    """No entry of the registry has this name; the message lists the closest names."""


class WeightsNotFoundError(FileNotFoundError):
    """The weights of an entry are in none of the places that were tried; the message lists them."""


class HubError(OSError):
    """The Hugging Face Hub did not do what was asked of it; the message says why and what to do."""


class CheckpointError(ValueError):
    """A checkpoint that is damaged, not a checkpoint of the zoo, or not the one that was asked for."""
