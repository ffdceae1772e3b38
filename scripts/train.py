"""Run nmt-train from a checkout."""

from nmt.cli.train import main

main()
