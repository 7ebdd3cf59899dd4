"""What labels mean: by their names, as numbers of Sentiment140, or as ``--label-map`` says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentiment140_bert import recipe
from sentiment140_bert.data.labels import interpret_label_map, interpret_labels
from sentiment140_bert.data.pipeline import load_unsplit, prepare_splits
from sentiment140_bert.data.reading import Reading, read_tweets
from sentiment140_bert.data.sources import locate
from sentiment140_bert.errors import DataError, RecipeError
from sentiment140_bert.models.labels import tidy
from sentiment140_bert.recipe import DataConfig
from sentiment140_bert.recipe.values import parse_label_map


def reading(path: Path | str, **settings: object) -> Reading:
    data = DataConfig(dataset=str(path), **settings)
    return read_tweets(locate(data)[0], data)


def labels(result: Reading) -> list[int]:
    return result.table["label"].to_pylist()


def labelled(*written: str) -> list[list[str]]:
    return [["label", "text"], *([each, f"tweet {at}"] for at, each in enumerate(written))]


MAPS = {
    "0=negative,1=neutral,2=positive": ("0 1 2 0", [0, 2, 1, 0]),
    " 1.0 = Negative , 5=POSITIVE,3=neutral": ("1 5 3 5.0", [0, 1, 2, 1]),
    "good=positive,bad=negative": ("Good bad GOOD", [1, 0, 1]),
    "mixed=neutral": ("positive mixed neg neu", [1, 2, 0, 2]),  # the others are read by their names
    "positive=negative,negative=positive": ("positive negative", [0, 1]),
}


@pytest.mark.parametrize("label_map", MAPS)
def test_label_maps(write, label_map):
    written, expected = MAPS[label_map]
    result = reading(write("t.csv", labelled(*written.split())), label_map=label_map)
    assert labels(result) == expected
    assert label_map in result.scheme
    assert (result.dropped, result.bad) == (0, [])


def test_what_a_map_drops_is_counted_and_is_no_bad_row(write):
    path = write("t.csv", labelled("positive", "irrelevant", "negative", "Irrelevant", "neutral"))
    result = reading(path, label_map="irrelevant=drop")
    assert (labels(result), result.dropped, result.rows, result.bad) == ([1, 0, 2], 2, 5, [])


def test_labels_outside_the_map_are_bad_rows_and_many_of_them_an_error(write):
    path = write("t.csv", labelled(*["a", "b"] * 50, "c"))
    mapped = "a=positive,b=negative"
    assert reading(path, label_map=mapped).bad_rows == 1
    with pytest.raises(DataError) as caught:
        reading(path, label_map="a=positive")
    for part in ("t.csv", "a=positive", "'b' (50)", "'a' (50)", "'c' (1)", "--label-map"):
        assert part in str(caught.value)


def test_a_map_that_names_no_label_of_the_file(write):
    with pytest.raises(DataError) as caught:
        reading(write("t.csv", labelled("0", "4")), label_map="good=positive")
    for part in ("t.csv", "'good=positive'", "'0' (1)", "'4' (1)"):
        assert part in str(caught.value)


WRONG = [
    "",
    "0",
    "0=",
    "=negative",
    "0=bad",
    "0:negative",
    "0=negative,",
    "0=negative,0=positive",
    "A=negative,a=positive",
    "0=negative;1=positive",
]


@pytest.mark.parametrize("label_map", WRONG)
def test_a_map_that_is_none_is_refused_before_anything_is_read(label_map):
    with pytest.raises(RecipeError, match="label_map: must be pairs as in") as caught:
        recipe.Recipe().with_values({"label_map": label_map})
    assert repr(label_map) in str(caught.value)


def test_one_label_spelled_in_two_ways_is_not_mapped_twice():
    with pytest.raises(DataError, match="each label once"):
        interpret_label_map("1=negative,1.0=positive")


names = st.text(st.characters(blacklist_characters=",=", blacklist_categories=("Cs",)), min_size=1, max_size=8).filter(
    lambda name: name.strip() == name == name.lower()
)
meanings = st.sampled_from(["negative", "neutral", "positive", "drop"])


@given(pairs=st.dictionaries(names, meanings, min_size=1, max_size=5), space=st.sampled_from(["", " ", "\t"]))
def test_any_map_comes_back_from_how_it_is_written(pairs, space):
    written = ",".join(f"{space}{name}{space}={space}{meaning.title()}{space}" for name, meaning in pairs.items())
    assert parse_label_map(written) == pairs


@given(text=st.text(st.sampled_from("ab=, negativ\tpositve01drop"), max_size=40))
def test_any_text_is_a_map_or_none(text):
    pairs = parse_label_map(text)
    assert pairs is None or (pairs and set(pairs.values()) <= {"negative", "neutral", "positive", "drop"})


@pytest.mark.parametrize(
    "written",
    [
        *("0 1 2", "0 2", "2", "1 2", "2.0 1.0 0.0", "LABEL_0 LABEL_1 LABEL_2", "1 2 3", "2 3 4", "0 1 2 3 4", "0 1 4"),
        *("-2 -1 0 1 2", "1 2 3 4 5 6 7 8 9 10", "0.5 2"),
    ],
)
def test_numbers_that_may_mean_one_thing_or_the_other_are_refused(write, written):
    """In TweetEval 1 is neutral and 2 positive; in Sentiment140 2 is neutral; of five stars 2 is negative."""
    path = write("t.csv", labelled(*written.split()))
    with pytest.raises(DataError, match="nothing says what they mean") as caught:
        reading(path, max_bad_rows=1.0)
    for part in ("t.csv", "(1)", "--label-map"):
        assert part in str(caught.value)
    example = str(caught.value).rpartition("--label-map ")[2].rstrip(".")
    assert len(reading(path, label_map=example).table) == len(written.split())


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0 2 4", [0, 2, 1]),
        ("2 4", [2, 1]),
        ("0 2 " * 300 + "4", [0, 2] * 300 + [1]),
        ("4", [1]),
        ("0", [0]),
        ("1", [1]),
        ("0 1", [0, 1]),
        ("-1 0 1", [0, 2, 1]),
        ("Negative NEUTRAL pos Neut", [0, 2, 1, 2]),
        ("LABEL_1 LABEL_0", [1, 0]),
        ("1 2 3 4 5", [0, 0, 2, 1, 1]),
        ("5.0 1.0", [1, 0]),
        ("1_star 2_stars 5_STARS 4-star", [0, 0, 1, 1]),
        ("Extremely_Positive Negative very-negative", [1, 0, 0]),
    ],
)
def test_labels_that_can_mean_one_thing_only_need_no_map(write, written, expected):
    assert labels(reading(write("t.csv", labelled(*written.split())))) == expected


few = st.integers(0, 9)


@given(negative=st.integers(60, 300), positive=st.integers(60, 300), minus=few, two=few, four=few)
@example(negative=50, positive=49, minus=1, two=0, four=0)  # one of a hundred: still stray
@example(negative=50, positive=49, minus=0, two=1, four=0)
def test_up_to_one_stray_label_of_a_hundred_does_not_change_what_the_others_mean(negative, positive, minus, two, four):
    counts = {"0": negative, "1": positive, "-1": minus, "2": two, "4": four}
    counts = {label: count for label, count in counts.items() if count}
    total = sum(counts.values())

    def is_more_than_stray(count: int) -> bool:
        return count * 100 > total

    if is_more_than_stray(two) or is_more_than_stray(four):  # 0 and 1 are there, and no scheme knows all three
        with pytest.raises(DataError, match="nothing says what they mean"):
            interpret_labels(counts, None, "t.csv")
        return
    scheme = "-1/0/1" if is_more_than_stray(minus) else "0/1"
    assert interpret_labels(counts, None, "t.csv").scheme == scheme


def test_stray_labels_in_a_file_are_bad_rows(write):
    for stray in ("2", "-1"):
        result = reading(write("t.csv", labelled(*["0", "1"] * 200, stray)))
        assert (result.scheme, result.bad_rows, labels(result)) == ("0/1", 1, [0, 1] * 200)


def test_what_was_taken_for_stars_is_told(write):
    result = reading(write("t.csv", labelled(*"12345" * 40, "0")))
    assert (result.scheme, result.bad_rows) == (
        "1 to 5, taken for stars: 1 and 2 negative, 3 neutral, 4 and 5 positive",
        1,
    )
    few = reading(write("few.csv", labelled(*"04" * 200, "5")))  # a stray 5 makes no stars of Sentiment140
    assert (few.scheme, few.bad_rows) == ("0/2/4 (Sentiment140)", 1)


def spelled(label: str) -> list[str]:
    return [label, f" {label} ", label.upper(), label.title(), f"'{label}'".replace("'", '"'), f"{label}.0"]


def test_every_label_of_every_scheme_however_it_is_written():
    """The table is written out: what a label means is a promise."""
    stars = {1: 0, 2: 0, 3: 2, 4: 1, 5: 1}
    read_as = "1 and 2 negative, 3 neutral, 4 and 5 positive"
    meanings = {
        f"stars: {read_as}": {f"{number} star{'' if number == 1 else 's'}": side for number, side in stars.items()},
        f"1 to 5, taken for stars: {read_as}": {str(number): side for number, side in stars.items()},
        "0/2/4 (Sentiment140)": {"0": 0, "2": 2, "4": 1},
        "0/1": {"0": 0, "1": 1},
        "-1/0/1": {"-1": 0, "0": 2, "1": 1},
        "names": {
            **{"negative": 0, "neg": 0, "positive": 1, "pos": 1},
            **{"neutral": 2, "neu": 2, "neut": 2},
            **{"very negative": 0, "extremely positive": 1, "slightly_neg": 0, "mostly-pos": 1},
        },
    }
    for scheme, meaning in meanings.items():
        for label, value in meaning.items():
            for written in spelled(label):
                counts = dict.fromkeys(meaning, 10)
                found = interpret_labels(counts, None, "t.csv")
                assert (found.scheme, found.meaning[tidy(written)]) == (scheme, value), written
    assert tidy("10") == "10"
    assert tidy("1.05") == "1.05"


def test_many_labels_are_not_all_told(write):
    path = write("t.csv", [["label", "text"], *([f"label {n}", "t"] for n in range(1000))])
    with pytest.raises(DataError, match="and 992 others") as caught:
        reading(path)
    assert len(str(caught.value)) < 900


@pytest.mark.parametrize("how", ["folder", "parquet"])
@pytest.mark.parametrize("names", [["negative", "neutral", "positive"], ["Negative", "Neutral", "Positive"], None])
def test_tweet_eval(tmp_path, names, how):
    from datasets import ClassLabel, Dataset

    numbers = [0, 1, 2, 2, 1, 0]
    dataset = Dataset.from_dict({"text": [f"tweet {n}" for n in range(6)], "label": numbers})
    if names:
        dataset = dataset.cast_column("label", ClassLabel(names=names))
    path = tmp_path / ("saved" if how == "folder" else "saved.parquet")
    dataset.save_to_disk(str(path)) if how == "folder" else dataset.to_parquet(path)
    if names:
        assert labels(reading(path)) == [0, 2, 1, 1, 2, 0]
    else:
        with pytest.raises(DataError, match="--label-map"):
            reading(path)
        assert labels(reading(path, label_map="0=negative,1=neutral,2=positive")) == [0, 2, 1, 1, 2, 0]


AIRLINE = (
    "tweet_id,airline_sentiment,airline_sentiment_confidence,negativereason,airline,name,retweet_count,text,"
    "tweet_coord,tweet_created,tweet_location\n"
    '5703,neutral,1.0,,Some Air,a_name,0,"@SomeAir what, now?",,2015-02-24 11:35:52 -0800,\n'
    '5704,positive,0.35,,Some Air,b_name,0,"@SomeAir you are\nso good",,2015-02-24 11:15:59 -0800,here\n'
    "5705,negative,1.0,Late,Some Air,c_name,0,@SomeAir late again,,2015-02-24 11:15:48 -0800,\n"
)
SANDERS = (
    '"Topic","Sentiment","TweetId","TweetDate","TweetText"\n'
    '"somephone","positive","126415","Tue Oct 18 21:53:25 +0000 2011","now all @SomePhone has to do is sing"\n'
    '"somephone","irrelevant","126416","Tue Oct 18 21:53:26 +0000 2011","what is that in another language"\n'
    '"othersearch","negative","126417","Tue Oct 18 21:53:27 +0000 2011","it does not find a thing"\n'
    '"othersearch","neutral","126418","Tue Oct 18 21:53:28 +0000 2011","there is a new version"\n'
)


def test_tweets_about_airlines(write):
    result = load_unsplit(DataConfig(dataset=str(write("Tweets.csv", AIRLINE, "utf-8"))))["test"]
    assert result["text"].to_pylist() == ["@SomeAir what, now?", "@SomeAir you are\nso good", "@SomeAir late again"]
    assert result["label"].to_pylist() == [2, 1, 0]
    assert result["time"].to_pylist() == [1424806552, 1424805359, 1424805348]
    assert result["user"].null_count == result["topic"].null_count == 3


def test_tweets_of_the_sanders_corpus(write):
    path = str(write("sanders.csv", SANDERS, "utf-8"))
    with pytest.raises(DataError, match=r"'irrelevant' \(1\)"):
        load_unsplit(DataConfig(dataset=path))
    result = load_unsplit(DataConfig(dataset=path, label_map="irrelevant=drop"))["test"]
    assert result["label"].to_pylist() == [1, 0, 2]
    assert result["topic"].to_pylist() == ["somephone", "othersearch", "othersearch"]
    assert result["time"].to_pylist() == [1318974805, 1318974807, 1318974808]


def test_rows_without_header_whose_labels_only_the_map_knows(write):
    rows = [["bad", "it rains"], ["good", "the sun"]]
    assert labels(reading(write("t.csv", rows), label_map="bad=negative,good=positive")) == [0, 1]
    with pytest.raises(DataError, match="no column that is obviously the text"):
        reading(write("t.csv", rows))


def test_a_map_is_counted_in_the_report_and_is_part_of_what_names_the_data(cache, write):
    rows = [["label", "text"], *([("bad", "good", "spam")[n % 3], f"tweet {n}"] for n in range(90))]
    data = DataConfig(dataset=str(write("t.csv", rows)), validation_size=10, test_size=10)
    one, other = (
        prepare_splits(DataConfig(**(vars(data) | {"label_map": f"bad={bad},good={good},spam=drop"})))
        for bad, good in (("negative", "positive"), ("positive", "negative"))
    )
    assert (one.report["steps"]["dropped_by_label_map"], one.report["steps"]["rows_read"]) == (30, 90)
    assert one.report["splits"]["train"]["rows"] == 40
    assert one.report["settings"]["label_map"] == "bad=negative,good=positive,spam=drop"
    assert one.report["fingerprint"] != other.report["fingerprint"]
    assert not other.cached


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0 1 2", [0, 2, 1]),  # as the map says, which names all of them
        ("0 2 4", [0, 2, 1]),  # the map does not know 4: so these are numbers of Sentiment140
        ("positive neutral", [1, 2]),
    ],
)
def test_the_hand_labelled_file_may_have_labels_of_its_own(cache, write, written, expected):
    write("t.csv", labelled(*"012" * 40))
    write("manual.csv", [["label", "text"], *([each, f"by hand {each}"] for each in written.split())])
    data = DataConfig(dataset="t.csv", manual_test="manual.csv", label_map="0=negative,1=neutral,2=positive")
    assert load_unsplit(data)["manual"]["label"].to_pylist() == expected
    splits = prepare_splits(DataConfig(**(vars(data) | {"validation_size": 10, "test_size": 10}))).report["splits"]
    assert splits["manual"]["rows"] + splits["manual_neutral"]["rows"] == len(expected)
