"""The published systems behind one interface: processor, model, action codec and denoiser."""
