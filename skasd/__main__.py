"""``python -m skasd`` is the command ``skasd``."""

from skasd.cli import main

if __name__ == "__main__":
    main()
