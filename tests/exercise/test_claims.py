"""What is usually said, claim by claim."""

from dataclasses import replace

from exercise.claims import Claim, all_claims_hold, claims_table, describe_claims

FOUND = [
    Claim("SELU is ahead", "1.2 ± 0.3 points", True),
    Claim("ReLU is fast", "", True),
    Claim("tanh is slow", "0.9 times", False),
    Claim("ELU is ahead", "0.1 ± 0.3 points", None),
]


def test_a_sentence_for_each_verdict():
    assert describe_claims(FOUND) == (
        "Confirmed: SELU is ahead (1.2 ± 0.3 points); ReLU is fast. Contradicted: tanh is slow (0.9 times). Undecided: "
        "ELU is ahead (0.1 ± 0.3 points)."
    )
    assert describe_claims(FOUND, figures=False) == (
        "Confirmed: SELU is ahead; ReLU is fast. Contradicted: tanh is slow. Undecided: ELU is ahead."
    )
    assert describe_claims(FOUND[:2], figures=False) == "Confirmed: SELU is ahead; ReLU is fast."
    assert describe_claims([]) == "There is no claim to hold the figures against."


def test_one_that_is_contradicted_is_enough():
    assert all_claims_hold(FOUND) is False
    assert all_claims_hold(FOUND[:2]) is True
    assert all_claims_hold([*FOUND[:2], FOUND[3]]) is None


def test_the_table_has_a_column_for_p_where_there_is_one():
    name, table = claims_table(FOUND, "How.")
    assert (name, table.note) == ("What is usually said", "How.")
    assert table.headings == ["usually said", "measured", "here"]
    assert [[text for text, _ in row] for row in table.rows[1:3]] == [
        ["ReLU is fast", "", "confirmed"],
        ["tanh is slow", "0.9 times", "contradicted"],
    ]
    with_p = [replace(claim, p=p) for claim, p in zip(FOUND, ["0.01", "", "0.2", ""], strict=True)]
    _, table = claims_table(with_p, "How.")
    assert table.headings == ["usually said", "measured", "p", "here"]
    assert [row[2][0] for row in table.rows] == ["0.01", "-", "0.2", "-"]
    assert table.rows[3][3][0] == "undecided"
