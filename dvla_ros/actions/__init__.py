"""Continuous action chunks to tokens and back: normalisation, bins, FAST, gripper. Needs numpy and tokenizers."""
