"""The words of a command line mean what they seem to mean, or are refused."""

import shlex

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from trainlab.config.command_line import readable
from trainlab.config.compose import expand_sweep
from trainlab.config.overrides import (
    WrongArguments,
    combinations,
    folder_name,
    parse_overrides,
    quoted,
)
from trainlab.config.resolvers import PROJECT
from trainlab.runs.numbers import format_duration, short_number


def test_the_folder_of_a_run_says_what_sets_it_apart():
    assert folder_name(["model=bn", "optim.lr=1e-4"]) == "model=bn,optim.lr=1e-4"
    assert folder_name(["model=bn", "name=study", "output_dir=/x", "sweep.on_failure=stop"]) == "model=bn"
    assert folder_name(["hydra.verbose=true", "hydra/launcher=basic", "++hydra.x=1", "seed=3"]) == "seed=3"
    assert folder_name(["name=study"]) == "default"
    assert folder_name(["data=shapes", "logger.csv=null", "callbacks.progress=null"]) == "data=shapes"
    assert folder_name(["data.root=a"]) != folder_name(["data.root=b"])
    assert folder_name(["names=1"]) == "names=1"


def test_an_option_in_a_folder_of_its_group_is_named_without_it():
    assert folder_name(["experiment=exercise/part_8c_bn", "seed=1"]) == "experiment=part_8c_bn,seed=1"
    assert folder_name(["+experiment=exercise/part_8c_bn"]) == "+experiment=part_8c_bn"
    assert folder_name(["data.root=a/b"]).startswith("data.root=a_b-")


def test_glob_finds_options_in_folders_of_the_group_and_is_not_recursive():
    with initialize_config_dir(str(PROJECT / "conf"), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()

        def found(glob: str) -> list[str]:
            return [value for (value,) in combinations(parse_overrides([f"experiment={glob}"], loader))]

        parts, outside = found("glob(exercise/part_*)"), found("glob(*)")
        excluded = found("glob([exercise/plain*,demo],exclude=*/*selu)")
    names = {path.stem for path in (PROJECT / "conf" / "experiment" / "exercise").glob("part_*.yaml")}
    assert set(parts) == {f"experiment=exercise/{name}" for name in names}
    assert len(names) == len(parts) == 5
    assert "experiment=demo" in outside and not any("/" in value for value in outside)
    assert excluded == ["experiment=demo", "experiment=exercise/plain_elu_he"]


def test_equal_numbers_are_one_folder_in_their_short_form():
    numbers = {
        "0.0001": "1e-4",
        "1E-05": "1e-5",
        "2.50e-4": "2.5e-4",
        "1e+30": "1e30",
        "-0.001": "-1e-3",
        "1e-4": "1e-4",
    }
    same = {
        text: text for text in ("0.01", "0.5", "10.0", "3", "10000000", "adam", "nan", "1e", "e5", "0.0", "[1e-05]")
    }
    assert {text: short_number(text) for text in numbers | same} == numbers | same
    assert (
        folder_name(["optim.lr=0.0001", "seed=1"])
        == folder_name(["optim.lr=1.0e-4", "seed=1"])
        == "optim.lr=1e-4,seed=1"
    )
    assert folder_name(["data.root=0.0001"]) == "data.root=0.0001"


def test_durations_have_two_digits_or_so():
    assert [format_duration(s) for s in (12.4, 59.6, 300, 7190, 8000)] == ["12 s", "1 min", "5 min", "2.0 h", "2.2 h"]


def test_a_folder_name_is_one_folder():
    name = folder_name(["ckpt_path=/home/me/../pictures", "model.dense=[64, 32]", "~trainer.x", "+a.b='c d'"])
    assert not set(name) & set("/\\\0 '[]")
    assert name not in (".", "..")


def test_a_path_with_the_names_of_overrides_in_it_needs_no_quotes():
    assert quoted("ckpt_path=outputs/model=bn,seed=2/a.ckpt") == "ckpt_path='outputs/model=bn,seed=2/a.ckpt'"
    for fine in (
        "model=bn",
        "optim.lr=1e-4,5e-4",
        "ckpt_path='a=b'",
        "+a={b: c}",
        "seed=range(0,9,step=3)",
    ):
        assert quoted(fine) == fine


def test_long_folder_names_are_shortened_and_stay_apart():
    long = [f"model.some_setting_{i}=0.{i}" for i in range(10)]
    names = {folder_name([*long, f"seed={seed}"]) for seed in range(20)}
    assert len(names) == 20
    assert all(len(name.encode()) <= 120 for name in names)
    fits = "x=" + 118 * "a"
    assert folder_name([fits]) == fits
    assert len(folder_name([fits + "a"]).encode()) == 120
    assert len(folder_name(["ckpt_path=" + 100 * "ü"]).encode()) <= 120


def test_names_that_differ_only_in_what_a_folder_cannot_hold_stay_apart():
    assert folder_name(["ckpt_path=a_b"]) == "ckpt_path=a_b"
    assert folder_name(["ckpt_path=a/b"]).startswith("ckpt_path=a_b-")
    assert folder_name(["ckpt_path=a/b"]) != folder_name(["ckpt_path=a b"])


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("name=größe", "name='größe'"),
        ("data.root=~/images", "data.root='~/images'"),
        ("data.root=~/a,~/b", "data.root='~/a','~/b'"),
        ("ckpt_path=a#1/A=1.ckpt", "ckpt_path='a#1/A=1.ckpt'"),
        *((f"name={name}", f"name='{name}'") for name in ("1e5", "12e8", "1_000", "0x10", "true", "null", "007")),
        ("output_dir=1e5", "output_dir='1e5'"),
        ("ckpt_path=null", "ckpt_path=null"),
        ("seed=1", "seed=1"),
        ("optim.lr=1e-4", "optim.lr=1e-4"),
        ("compile=true,false", "compile=true,false"),
        ("data.root=${oc.env:HOME}/x", "data.root=${oc.env:HOME}/x"),
    ],
)
def test_text_is_read_as_it_is_typed(typed: str, read: str):
    assert quoted(typed) == read


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-m seed=1,2 seed=3,4", "seed is given twice: seed=1,2 and seed=3,4"),
        ("optim.lr=1 ++optim.lr=2", "optim.lr is given twice: optim.lr=1 and ++optim.lr=2"),
        ("+a=1 ~a", "a is given twice: +a=1 and ~a"),
        ("model=bn seed=1 model=bn", "model is given twice: model=bn and model=bn"),
        ("hydra/launcher=basic hydra/launcher=trainlab", "hydra/launcher is given twice"),
        (
            "callbacks.early_stopping.patience=3 callbacks.early_stopping=null",
            "callbacks.early_stopping=null drops callbacks.early_stopping.patience=3",
        ),
        (
            "-m ckpt_path=A=1/best.ckpt,B=2/best.ckpt",
            "\"ckpt_path='A=1/best.ckpt','B=2/best.ckpt'\" are several",
        ),
        ("logger.csv=null ~logger", "~logger drops logger.csv=null, given before it"),
        ("a.b=null a.b.c=1", "a.b=null leaves nothing to set by a.b.c=1"),
        ("~logger logger.csv=null", "~logger leaves nothing to set by logger.csv=null"),
        ("-m größe=1", "there is no setting 'größe'"),
        ("seed=1 --bogus", "there is no flag --bogus"),
        ("-m optim.lr=1e-3,", "'optim.lr=1e-3,'; a value is missing beside a comma"),
        ("-m optim.betas=[1", "'optim.betas=[1', a ] is missing; write 'optim.betas=[1]' for a list, or -m optim.be"),
        ("-m optim.lr=(1,2)", "write 'optim.lr=[1,2]' for a list, or -m optim.lr=1,2 to sweep over the values"),
        ("model = bn", "cannot read the argument 'model'; write model=bn without blanks"),
        ("model= bn", "cannot read the argument 'bn'; write model=bn without blanks"),
        ("-m seed=1, 2", "cannot read the argument '2'; write seed=1,2 without blanks"),
        ("optim.lr 1e-3", "cannot read the argument 'optim.lr'; write optim.lr=1e-3"),
        ("=bn", "cannot read the argument '=bn'; write key=value"),
        ("--optim.lr=1e-3", "there is no flag --optim.lr=1e-3; settings have no dashes, such as optim.lr=1e-3;"),
        ("--lr 1e-3 seed=1", "there is no flag --lr; settings have no dashes, such as lr=1e-3; --help shows"),
        ("-m x=choice()", "cannot read the argument 'x=choice()'; choice(): empty choice is not legal"),
        ("-m optim.lr=1(2)", "in quotes it is text: \"optim.lr='1(2)'\""),
    ],
)
def test_words_that_contradict_each_other(words: str, message: str):
    with pytest.raises(WrongArguments) as caught:
        readable(words.split())
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "words", ["optim=sgd optim.lr=1", "model=bn model@other=selu", "+a={b:1} a.b=2", "a.b=2 a={c:1}", "a=1 a.b=1 ab=1"]
)
def test_keys_that_are_not_the_same(words: str):
    assert readable(words.split()) == words.split()


def test_flags_are_understood_behind_overrides():
    words = ["seed=1", "--config-dir", "mine", "-m", "optim.lr=1", "-cn=other"]
    assert readable(words) == ["--multirun", "--config-name", "other", "--config-dir", "mine", "seed=1", "optim.lr=1"]
    assert readable(["seed=1", "--config-dir=a=b"]) == ["--config-dir", "a=b", "seed=1"]
    assert readable(["seed=1", "--cfg", "job", "--resolve"]) == ["--cfg", "job", "--resolve", "seed=1"]


def test_overrides_of_an_option_that_jobs_choose_are_left_to_the_jobs():
    words = readable(["-m", "optim=sgd,rmsprop", "optim.momentum=0.8", "+optim.x='a'", "model.depth=3", "sweep.jobs=2"])
    assert words[2:] == ["optim.momentum=choice(0.8)", "+optim.x=choice('a')", "model.depth=3", "sweep.jobs=2"]
    assert readable(["-m", "experiment=a,b", "optim.x="])[2:] == ["optim.x=choice('')"]
    assert readable(["-m", "optim=sgd", "seed=1,2", "optim.momentum=0.8"])[-1] == "optim.momentum=0.8"


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("seed=sort(range(0,5,2),reverse=true)", ["4", "2", "0"]),
        ("seed=sort(range(5,0,-2))", ["1", "3", "5"]),
        ("seed=sort(3,1,2)", ["1", "2", "3"]),
        ("optim.lr=range(1e-4,4.5e-4,1e-4)", ["0.0001", "0.0002", "0.0003", "0.0004"]),
        ("optim.lr=sort(range(1e-4,4e-4,1e-4),reverse=true)", ["0.0003", "0.0002", "0.0001"]),
        ("optim.lr=1e-4,0.0002", ["0.0001", "0.0002"]),
    ],
)
def test_values_of_a_sweep(override: str, values: list[str]):
    key = override.partition("=")[0]
    assert expand_sweep([override]) == [[f"{key}={value}"] for value in values]


def test_the_command_line_takes_precedence_over_settings_of_the_sweeper():
    overrides = parse_overrides(["seed=1,2", "+x=1,2", "model=bn", "seed=3", "++x=4"])
    assert combinations(overrides) == [["seed=3", "++x=4", "model=bn"]]


def test_a_range_without_numbers_is_refused():
    with pytest.raises(WrongArguments, match=r"seed=range\(5,5\) has no value to sweep over"):
        expand_sweep(["seed=range(5,5)"])


@pytest.mark.parametrize(
    "value", ["a'b\"c(", "x(\\", "a\\'b(", 'a"b(', 'it\'s "x" \\', 'my"x', "'", '"a b', "C:\\x\\'("]
)
def test_the_suggested_quoting_is_read_as_the_value(value: str):
    with pytest.raises(WrongArguments) as caught:
        parse_overrides([f"data.root={value}"])
    (word,) = shlex.split(str(caught.value).partition("; in quotes it is text: ")[2])
    (parsed,) = parse_overrides(readable([word]))
    assert parsed.value() == value


def test_combinations_that_are_the_same_run_count_once():
    paces = "optim.lr=0.001,'${same_pace:0.01,${optim.momentum}}'"
    assert len(expand_sweep(["model=bn,selu", "optim.momentum=0,0.9", paces, "seed=1,2"])) == 2 * 3 * 2
    assert expand_sweep(["optim.lr=1e-4,0.0001,2e-4", "seed=1"]) == [
        ["optim.lr=0.0001", "seed=1"],
        ["optim.lr=0.0002", "seed=1"],
    ]
    assert len(expand_sweep(["optim.lr=1e-4,2e-4", "trainer.max_epochs=null,3"])) == 4


@pytest.mark.parametrize("value", ["interval(1e-5,1e-3)", "glob(*)"])
def test_a_sweep_over_values_that_are_not_known_cannot_be_expanded(value: str):
    with pytest.raises(WrongArguments, match=r"the values of optim\.lr=.* are not known"):
        expand_sweep([f"optim.lr={value}"])


def test_null_is_left_as_it_is_where_jobs_choose_the_option():
    words = ["-m", "experiment=exercise/plain_selu,demo", "callbacks.figures=null", "data.val_size=100"]
    expected = ["--multirun", *words[1:3], "data.val_size=choice(100)"]
    assert readable(words) == expected
    assert len(combinations(parse_overrides(expected[1:]))) == 2
