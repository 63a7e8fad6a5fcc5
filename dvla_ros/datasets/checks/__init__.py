"""What can be wrong with a data set, and how to see it in its numbers: one kind of mistake a file."""
