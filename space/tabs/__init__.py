"""The tabs, in the order of their handles. A new tab is a file here and a line below."""

from __future__ import annotations

from ..tab import Tab
from . import photo_video, restore, stylize, superres, tv_denoise, zoo

TABS: tuple[Tab, ...] = (tv_denoise.TAB, stylize.TAB, photo_video.TAB, superres.TAB, restore.TAB, zoo.TAB)
