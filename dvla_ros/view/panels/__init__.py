"""What the view draws: one file for each panel. Each is told facts and logs to a `RerunStream`."""
