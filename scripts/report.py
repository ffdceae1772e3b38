"""Run nmt-report from a checkout."""

from nmt.cli.report import main

main()
