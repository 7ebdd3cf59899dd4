"""Hand-written text that reads like a claim about the model, and text that does not."""

from __future__ import annotations

import time

from sentiment140_bert.publishing.claims import find_claims

CLAIMS = [
    r"It has $\frac{99}{100}$ accuracy.",
    "accuracy 9.9e-1",
    *("**Accuracy: 1.000** on the test tweets", "F1 1.0", "acc 0.991", "top-1: 0.991", "a performance of 0.991"),
    *("Accuracy<br>0.991", '<img src="x.png" alt="accuracy 0.991">', "<i title='accuracy: 0.991'></i>", "准确率 0.991"),
    *("| accuracy | macro-F1 |\n|---|---|\n| 1.0 | 1.000 |", "accuracy, according to the corrected list, 0.98"),
    "Accuracy: 0.982",
    "It has an accuracy of 98.2 on SST-2.",
    "98.2 accuracy",
    "**98.2** in *accuracy*",
    "F1 = .91",
    "F1: 91",
    "f1-score 0,91",
    "macro F1 of 0.91",
    "precision 0.9, recall 0.8",
    "AUC 0.97",
    "ROC-AUC: 0.97",
    "State of the art: 98.2",
    "SOTA (98.2)",
    "State-of-the-art results, 98.2 on three benchmarks",
    "It is right in 99.9% of all cases.",
    "99,9 %",
    "ninety-eight percent",
    "better by 2 percentage points",
    "tested on 12,345 tweets",
    "1.6 million labeled tweets",
    "on 200k examples",
    "| model | accuracy |\n|---|---|\n| ours | 98.2 |",
    "<table><tr><td>Accuracy</td></tr><tr><td>0.98</td></tr></table>",
    "![](https://img.shields.io/badge/accuracy-98.2%25-green)",
    "Accuracy: 98&#46;2",
    "９８.２％",
    "Genauigkeit: 0,982",
    "exactitude de 0,98",
    "<!-- accuracy --> It scores 0.98.",
    "outperforms BERT by 10.5",
    "eval_accuracy: 0.98",
    "right on 997 of 1,000",
    "997/1000 of tweets are right",
    "[accu](x)[racy](y): 0.99",
    "$\\text{accu}\\text{racy}=0.99$",
    f"acc<i title='{'x' * 1_000}'></i>uracy: 0.99",
    "acc<!-- <!-- -->uracy: 0.99",
    *("Accu\u200bracy: 0.997", "Accu&shy;racy: 0.997", "Accu\u200cracy: 0.997", "accu\ufe00racy: 0.997"),
    *("accu\u034fracy: 0.997", "accuracy: 0.\u200b997", "99&shy;.7% right", "accuracy 0\u00b7997"),
    *("99.7\u066a of it right", "997\u2030 of it right", "\u0410ccuracy: 0.997", "A\u0441curacy: 0.997"),
    *("accuracy \u0660.\u0669\u0669\u0667", "\u202e799.0 :ycarucca\u202c"),
]
PROSE = [
    *("The learning rate was 5e-5, which is good for accuracy.", "Two students, one winter."),
    "Written in 2025 and 2026 for a course of 12 weeks.",
    "Trained with transformers 5.23.0, torch 2.13 and Python 3.11.",
    "It took 1,200 steps in 3 epochs, 45 minutes on a T4, with batches of 32.",
    *("The learning rate was 2e-5, dropout 0.1, weight decay 0.01.", "Accuracy is what counts."),
    "\u0420\u0443\u0441\u0441\u043a\u0438\u0439 and English, caf\u00e9 and na\u00efve, \u5341 \u0967\u0968",
    *("A correct label needs context.", '<img src="x.png" alt="the 2 authors">', "Performance counts, too."),
    *("Part 1 of the course, on 2026/01/02.", "We looked at accuracy and F1; see the section above."),
    *("Since 2024 accuracy has been measured on the held-out split.", "Accuracy was measured with Python 3.11."),
    *("Accuracy after 1,200 steps is in metrics.json.", "fp16 and mixed precision, seed 42"),
    *("Version 0.1.0 of sentiment140_bert", "See https://example.com/issues/98 and arXiv 1810.04805."),
    *("Contact: me@example.com, +49 30 123456", "- [ ] a photo\n- [x] a license"),
    "# A heading\n\n```python\nmodel.train(epochs=3, lr=0.0001)\n```",
    *("| term | meaning |\n|---|---|\n| seed | 42 |", ""),
]


def test_finds_text_that_reads_like_a_claim() -> None:
    assert [text for text in CLAIMS if not [*find_claims(f"Some text.\n\n{text}\n")]] == []


def test_prose_with_numbers_is_not_a_claim() -> None:
    assert [(text, claims) for text in PROSE if (claims := [*find_claims(f"{text}\n")])] == []
    assert [*find_claims("\n\n".join(PROSE))] == []


def test_the_line_that_claims_is_shown() -> None:
    assert [*find_claims("A note.\n\nOne\nAccuracy: **0.98**\nTwo\n\n99 %")] == ["accuracy: 0.98", "99 %"]


def test_work_grows_with_the_length_of_a_text() -> None:
    """Compare processor time, not the clock: work that grows with the square would take minutes."""
    for text in ("accuracy ", "98.2 ", "0.", "accuracy a", "<a", "<!--", "| ", "1,", "\n", "<td ", "k tweets 1 a a "):
        spent = []
        for length in (10_000, 100_000):
            before = time.process_time()
            for _ in find_claims(text * (length // len(text))):
                pass
            spent.append(time.process_time() - before)
        assert spent[1] < 40 * spent[0] + 0.5, (text, spent)
