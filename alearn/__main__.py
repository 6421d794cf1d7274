"""`python -m alearn` is `alearn`."""

from alearn.cli import main

main()
