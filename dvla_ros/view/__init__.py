"""Seeing what the policy sees, thinks and does: live, and from recordings. No ROS needed."""
