"""Run nmt-doctor from a checkout."""

from nmt.cli.doctor import main

main()
