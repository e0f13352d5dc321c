"""Style transfer as an optimisation: the loss of Gatys et al. as the flexible solver's paper has it, and its solver."""
