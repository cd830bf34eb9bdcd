"""`python -m poterne.sendmail`."""

from poterne.sendmail import main

main()
