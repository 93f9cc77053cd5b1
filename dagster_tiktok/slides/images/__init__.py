"""What the bytes of a slide are: containers, decoding within bounds."""
