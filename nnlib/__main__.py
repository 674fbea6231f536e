"""``python -m nnlib``: the command line of `nnlib.cli`."""

from nnlib.cli import main

raise SystemExit(main())
