"""Models on the Hugging Face Hub: found, fetched, checked, published, mirrored, and an app deployed to a Space.

Nothing here is imported by `import zoo`, and nothing goes to the network but the functions whose work that is.
"""

from __future__ import annotations
