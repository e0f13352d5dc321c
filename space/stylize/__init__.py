"""The parts of the "Style transfer" tab: what a visitor has opened, paintings, regions, settings, and the run."""
