"""All commands tell what is wrong with their flags in one form: one line on stderr, and exit status 2."""

import importlib

import pytest

from system.command_line import command_line
from system.errors import UserError

COMMANDS = (
    *("main", "collect_results", "datasets.download", "metrics.cli", "logger.report.__main__"),
    "study.__main__",
)


@pytest.mark.parametrize("module", COMMANDS)
def test_a_wrong_flag_is_one_line_and_exit_status_2(module, capsys):
    assert importlib.import_module(module).main(["--no-such-flag"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and "--help lists every flag" in error


def test_an_error_of_a_library_with_several_lines_is_printed_in_one(capsys):
    @command_line
    def command():
        raise UserError("a file is damaged (one\ntwo\n): get it again")

    assert command() == 2
    assert capsys.readouterr().err == "error: a file is damaged (one two ): get it again\n"
