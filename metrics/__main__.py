"""`python -m metrics codes.npz --factors factors`: scores of codes in files."""

from metrics.cli import main
from system.command_line import start

start(main)
