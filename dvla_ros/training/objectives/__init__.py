"""What each system is trained on, one file a system."""
