"""Speed and memory, each as a ratio against a peer or a bare loop in the same run.

The machines are noisy: every figure is the median of five runs, and only ratios are compared.
"""
