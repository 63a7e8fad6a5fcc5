"""The operator page: what it shows, what it may ask for, and how both reach a browser."""
