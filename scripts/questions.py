"""Answers to questions, measured: trains what is missing and writes docs/questions.md; `--help` lists the settings."""

from nmt.cli.questions import main

main()
