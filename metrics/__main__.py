"""`python -m metrics codes.npz --factors factors`: scores of codes in files."""

import sys

from metrics.cli import main
from system.output import ignore_failed_writes

ignore_failed_writes()
sys.exit(main())
