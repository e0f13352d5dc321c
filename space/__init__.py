"""The web app: pages over the jobs of `zoo.tasks`, and no mathematics of its own."""
