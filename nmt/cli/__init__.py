"""The commands: thin entries, the only files that import hydra."""
