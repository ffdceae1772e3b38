"""Measure speed: `benchmark.py train|decode|prepare|startup|checkpoint`; `--help` lists the settings."""

from nmt.cli.benchmark import main

main()
