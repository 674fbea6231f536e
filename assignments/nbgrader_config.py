"""nbgrader's settings for this course; what changes from term to term is in classroom.toml."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import classroom

classroom.configure(get_config())  # type: ignore[name-defined]  # noqa: F821  nbgrader defines it
