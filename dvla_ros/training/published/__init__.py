"""Fine-tuning of published checkpoints, one learner a family of networks."""
