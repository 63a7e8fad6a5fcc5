"""How denoising steps are computed: what is kept of the step before, graphs, memory. No decoder knows of it."""
