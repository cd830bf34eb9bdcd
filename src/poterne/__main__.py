"""`python -m poterne` is `poterne`."""

from poterne.cli.main import main

main()
