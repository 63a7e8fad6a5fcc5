"""Measuring policies: simulated episodes, metrics, reports. Imports no rclpy."""
