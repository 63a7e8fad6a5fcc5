"""Fast execution of a model: prefix cache, static shapes, warm-up."""
