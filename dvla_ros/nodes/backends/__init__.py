"""Where joint commands go: one file per kind of driver or controller."""
