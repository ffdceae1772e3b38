"""From a checkout: the same as nmt-report."""

from nmt.cli.report import main

main()
