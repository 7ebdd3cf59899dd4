"""Work handed to Spark's processes: training in several of them, and answers for every row of a table."""
