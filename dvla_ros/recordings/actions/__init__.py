"""What was commanded, read from whatever it was recorded as."""
