"""``python -m torchmann`` is the ``torchmann`` command, for ``torchrun -m torchmann`` too."""

import sys

from torchmann.cli import main

if __name__ == "__main__":
    sys.exit(main())
