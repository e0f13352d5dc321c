"""The parts of the "Photo and video" tab: clips that are drawn by code, what a visitor has opened, and the two jobs."""
