"""What the bytes of a slide are: containers, decoding within bounds of pixels and memory.

Not here: where the bytes come from or go to.
"""
