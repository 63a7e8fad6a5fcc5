"""The ROS 2 nodes: thin, with the logic elsewhere."""
