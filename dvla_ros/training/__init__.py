"""Objectives, datasets and the training loop. Imports no rclpy."""
