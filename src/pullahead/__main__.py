"""`python -m pullahead` is the `pullahead` command."""

from pullahead.cli import main

main()
