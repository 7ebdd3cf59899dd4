"""The accuracy that a training set of some size gives: trainings on nested subsets, their means, and a fitted curve."""
