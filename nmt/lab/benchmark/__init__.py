"""Benchmarks of training, decoding, preparation and start-up, in base units, with the matrix-product peak."""
