"""Run nmt-score from a checkout."""

from nmt.cli.score import main

main()
