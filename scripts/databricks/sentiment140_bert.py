# Databricks notebook source
# MAGIC %md
# MAGIC # sentiment140_bert, by hand
# MAGIC Fine-tunes BERT on a table of labeled tweets, and labels a whole table with the result. Attach a cluster with a
# MAGIC GPU ML runtime, fill in the widgets above, run all cells. Every cell only calls the library; docs/databricks.md
# MAGIC explains it.

# COMMAND ----------

# MAGIC %pip install /Workspace/Shared/sentiment140_bert-0.2.0-py3-none-any.whl
# MAGIC %restart_python

# COMMAND ----------

from pathlib import Path

import sentiment140_bert as s140
from sentiment140_bert.platforms.notebook import widgets

# COMMAND ----------

chosen = widgets(
    globals().get("dbutils"),
    recipe="databricks",
    model_name_or_path="google-bert/bert-base-uncased",
    dataset="table:main.default.tweets",
    max_samples="100000",
    output_dir="/Volumes/main/default/sentiment140/runs/by-hand",
    report_to="mlflow",
    register_model="",
    input_table="main.default.unlabeled_tweets",
    output_table="main.default.labeled_tweets",
    replace_output_table="no",
    model="",
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Train, and register
# MAGIC Running this again resumes an unfinished run and leaves a finished one alone; for a new one name another
# MAGIC `output_dir`.
# MAGIC `register_model` takes `catalog.schema.name`; empty, the model is logged to MLflow and not registered.
# MAGIC On this machine. On the cluster's workers:
# MAGIC `s140.spark_train(recipe, output_dir, num_processes=2, local_mode=False)`.

# COMMAND ----------

values = {name: chosen[name] for name in ("model_name_or_path", "dataset", "report_to")}
values |= {"max_samples": int(chosen["max_samples"]), "register_model": chosen["register_model"] or None}
recipe = s140.load_recipe(chosen["recipe"]).with_values(values)
result = s140.train(recipe, Path(chosen["output_dir"]))
print({name: split["accuracy"]["value"] for name, split in result.metrics["splits"].items()})

# COMMAND ----------

# MAGIC %md
# MAGIC ## Label a whole table
# MAGIC With the run just trained, or with what the widget `model` names: a Hub id, or
# MAGIC `models:/catalog.schema.name@champion`. An output table that exists is an error unless `replace_output_table` is
# MAGIC `yes`.

# COMMAND ----------

overwrite = chosen["replace_output_table"] == "yes"
scored = s140.spark_predict(
    chosen["model"] or result.run, chosen["input_table"], chosen["output_table"], overwrite=overwrite
)
print(scored["count"], scored["labels"])
