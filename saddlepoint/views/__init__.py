"""What stands between a sample and the discriminator."""
