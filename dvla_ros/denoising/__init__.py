"""Iterative discrete denoising: canvas, schedules, one loop, one file per decoder. Knows no model."""
