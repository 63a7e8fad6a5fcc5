"""What published systems do to an image or a sentence before the network sees it: pixel for pixel, id for id."""
