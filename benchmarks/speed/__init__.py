"""The speed of training and evaluation beside PyTorch's and a plain flax program's.

    make bench

Every implementation of a net runs in a process of its own, on the same images, labels and initial
weights; the processes are measured in turn, never at the same time. The workers here import
neither each other nor more than they need: that of PyTorch runs where no JAX is installed.
"""
