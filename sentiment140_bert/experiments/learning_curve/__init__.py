"""What accuracy a training set of some size gives: means and intervals of a learning curve, its fit, table, picture."""
