"""From what a VA pasted to the post that is meant."""
