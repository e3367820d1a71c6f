"""`corelog ... | head`: a reader that has seen enough ends the program in peace, whenever it leaves."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from corelog.frontend.common import command

@command("lines")
def main(argv=None):
    for n in range(100_000):
        print("line", n, flush={flush})
    return 0

sys.exit(main([]))
"""


@pytest.mark.parametrize("flush", [True, False])
def test_reader_that_leaves_ends_the_program_with_status_0_and_without_a_word(flush: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM.format(flush=flush)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None and program.stderr is not None
        assert program.stdout.readline() == b"line 0\n"
        program.stdout.close()
        assert program.wait(60) == 0
        assert program.stderr.read() == b""
