"""Recurrent layers: the interface, PyTorch's fused layers, and layers written step by step."""
