"""Tensors on disk: published checkpoints read without trust and without doubling in memory, and written back."""
