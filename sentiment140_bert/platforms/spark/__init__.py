"""Training in several processes of Spark, and predictions for every row of a table."""
