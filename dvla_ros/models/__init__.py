"""Networks: vision stems, text encoder, attention blocks, heads."""
