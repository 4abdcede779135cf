"""saddlepoint: train, measure and understand generative adversarial networks."""
