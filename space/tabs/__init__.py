"""The tabs, in the order of their handles. A new tab is a file here and a line below."""

from __future__ import annotations

from ..tab import Tab
from . import tv_denoise

TABS: tuple[Tab, ...] = (tv_denoise.TAB,)
