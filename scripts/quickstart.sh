#!/usr/bin/env bash
# All steps, offline, in under two minutes after installation: install, fine-tune, classify.
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh" offline

run=runs/quickstart
# A finished run is shown; a run of another recipe or other tweets is refused with the differences, and stays.
s140 train --recipe quickstart --output-dir "$run"
echo
s140 predict "$run" "omg the new album is sooo good, can't stop listening" "missed the last bus home, and now it's raining &amp; cold"
cat <<END

The run is in $run: metrics.json (scores), data.json (what became of the tweets), model/ (for pipeline("text-classification")).
Activate the tool:  source .venv/bin/activate
Then for example:   s140 predict $run --input tweets.csv --output labels.csv
                    s140 train --recipe bert-base-100k       (the real job: GPU, Hub in reach)
                    s140 recipes ls
END
