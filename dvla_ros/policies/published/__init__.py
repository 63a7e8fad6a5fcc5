"""Checkpoints as the published systems' own training code writes them."""
