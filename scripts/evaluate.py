"""Run nmt-evaluate from a checkout."""

from nmt.cli.evaluate import main

main()
