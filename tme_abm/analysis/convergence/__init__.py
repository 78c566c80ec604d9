"""Convergence: does the length of the step, or the size of the patch, move what a study says?"""
