"""Tasks of the diagnose command."""
