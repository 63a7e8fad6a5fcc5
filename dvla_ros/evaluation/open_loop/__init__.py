"""Predictions beside what was recorded: errors by joint and row, gripper, seams, confidence."""
