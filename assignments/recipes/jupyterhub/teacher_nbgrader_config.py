"""nbgrader and its formgrader for the account that grades: copy to ~/.jupyter/nbgrader_config.py.

Never put it into the class folder: nbgrader reads it there too, after the settings that grading relies on.
"""

import os
import sys
from pathlib import Path

COURSE = Path.home() / "course"  # the clone
CLASS = Path.home() / "class"

os.environ.setdefault("CLASSROOM_ROOT", str(CLASS))
sys.path.insert(0, str(COURSE / "assignments"))

import classroom

c = get_config()  # type: ignore[name-defined]  # noqa: F821  nbgrader defines it
classroom.configure(c)
c.CourseDirectory.release_directory = str(COURSE / "assignments" / "release")
