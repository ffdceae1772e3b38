"""Run the trainings of the questions and write docs/questions.md; `--help` lists the settings."""

from nmt.cli.questions import main

main()
