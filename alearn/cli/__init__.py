"""The command line: each command a few lines over loop/ and store/.

Invariant: nothing heavy is imported before a command needs it, so that `alearn --help` answers at once.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run a command. What a user can cause is one message on stderr and exit code 2; Ctrl-C is exit code 130."""
    from alearn.cli.app import app
    from alearn.errors import AlearnError

    try:
        app()
    except AlearnError as error:
        sys.stderr.write(f"alearn: {error}\n")
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(141)
    except KeyboardInterrupt:
        sys.stderr.write("\nalearn: stopped. Nothing is lost; the same command goes on from here.\n")
        sys.exit(130)
