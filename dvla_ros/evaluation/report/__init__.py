"""Reports of evaluations: one HTML page that needs nothing else, JSON, Markdown."""
