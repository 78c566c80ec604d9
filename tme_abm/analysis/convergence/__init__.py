"""Convergence: does the length of the step, or the size of the patch, move what a study says?

The same patients run with each choice of step and patch under both arms of a comparison; each choice is set against the finest of its
kind. Patients are the same, so the difference between two choices has a far smaller error than either of them: it is bootstrapped over
patients, both choices resampled alike. Beside the endpoints stand early and sharper measures: the tumour burden after three visits, and
deaths by cause until then, which say which mechanism depends on the step. How many patients an interval of a given width takes
follows from the error of the endpoints.
"""
