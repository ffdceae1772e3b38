"""Jobs of a multirun: in a queue, or as local processes."""
