"""Recurrent layers: the interface, PyTorch's fused layers, and layers computed step by step."""
