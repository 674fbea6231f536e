"""``python -m nnlib``: the command line of `nnlib.cli`."""

from nnlib.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
