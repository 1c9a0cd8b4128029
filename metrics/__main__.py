"""`python -m metrics codes.npz --factors factors`: scores of codes on files."""

import sys

from metrics.cli import main
from system.output import keep_going_unheard

keep_going_unheard()
sys.exit(main())
