"""Figures of speed: `benchmark.py checkpoint`; `--help` lists the settings."""

from nmt.cli.benchmark import main

main()
