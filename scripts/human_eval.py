"""Run nmt-human-eval from a checkout."""

from nmt.cli.human_eval import main

main()
