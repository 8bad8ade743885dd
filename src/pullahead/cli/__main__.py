"""`python -m pullahead.cli` is the `pullahead` command."""

from pullahead.cli import main

main()
