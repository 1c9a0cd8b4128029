"""`python -m metrics codes.npz --factors factors`: scores of codes on files."""

import sys

from metrics.cli import main

sys.exit(main())
