"""Continuous action chunks to tokens and back: normalisation and bins. Imports numpy only."""
