"""Recordings to training data and LeRobot data sets, and back; their statistics and what looks wrong with them."""
