"""From a checkout: the same as nmt-score."""

from nmt.cli.score import main

main()
