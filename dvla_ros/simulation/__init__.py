"""A simulated WidowX 250s: scene, tasks, scripted expert. Imports neither torch nor rclpy."""
