"""Whole-sequence kernels, each beside the mathematics of its backward, built on this machine at first use."""
