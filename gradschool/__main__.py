"""`python -m gradschool`."""

from gradschool.cli.main import main

main()
