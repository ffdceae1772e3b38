"""Trainings and speed measurements of the questions command."""
