"""From chunk to command: timeline, action spaces, kinematics, safety, pacing. Imports neither torch nor rclpy."""
