"""Model cards, dataset cards and the report, from the JSON files of a run: offline, without a number of their own."""
