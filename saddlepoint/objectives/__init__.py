"""Value functions and penalties: pure functions of logits, samples and gradients."""
