"""``python -m reconciler`` is the command ``prodsprint``."""

import sys

from reconciler.cli import main

sys.exit(main())
