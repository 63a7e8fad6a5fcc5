"""Recordings: rosbag2 files to messages, episodes, observations and actions, and how they are written. Without ROS."""
