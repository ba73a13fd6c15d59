"""Configs: each mistake is one line that says what and where; whatever resolves is complete plain data."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from gen import config as configs
from gen.config import Part, chainit, fixed, flatten, from_json, product, resolve, sweep, to_json, zipit
from gen.errors import UserError


class MLP(nn.Module):
    out: int
    width: int = 8
    widths: tuple[int, ...] = (500, 200)
    activation: str = "relu"
    dtype: object = jnp.float32


class Conv(nn.Module):
    out: int
    depth: int
    width: int = 16
    widths: tuple[float, ...] = (1.0,)
    activation: bool = True
    dropout: float | None = None
    scale: float = 1


def r1(discriminate, real, gamma: float = 10): ...


def adam(learning_rate: "float" = 1e-3, b1=0.9, clip=None, nesterov=False):
    if learning_rate <= 0:
        raise ValueError("learning_rate must be positive,\ngot 0 or less")
    return learning_rate, b1, clip, nesterov


SCHEMA = {
    "": {"seed": 0, "family": str, "evaluators": ()},
    "encoder": Part({"mlp": MLP, "conv": Conv}, "encoder", supplied=frozenset({"out"})),
    "optimizer": Part({"adam": adam}, "optimizer"),
    "augment": Part({"flip": lambda p=0.5: p}, "augmentation", optional=True),
    "penalties": Part(
        {"r1": r1, "gp": r1}, "penalty", supplied=frozenset({"discriminate", "real"}), many=True, common={"weight": 1.0}
    ),
    "train": {"steps": int, "batch_size": 8, "log_every": 10, "eval_every": 0},
}


def experiment() -> ConfigDict:
    return ConfigDict(
        {
            "family": "vae",
            "encoder": {"name": "mlp", "width": 4, "widths": [3, 2]},
            "optimizer": {"name": "adam", "learning_rate": 1},
            "train": {"steps": 100},
        }
    )


def resolved(**overrides) -> dict:
    return flatten(resolve(experiment(), {k.replace("__", "."): v for k, v in overrides.items()}, SCHEMA))


def message(function, *args, **kwargs) -> str:
    with pytest.raises(UserError) as error:
        function(*args, **kwargs)
    text = str(error.value)
    assert text.splitlines() == [text] and text.isprintable()
    return text


# Resolving.


def test_resolve_fills_in_every_default_of_the_signatures():
    assert resolved() == {
        "family": "vae", "seed": 0, "evaluators": (), "penalties": {},
        "encoder.name": "mlp", "encoder.width": 4, "encoder.widths": (3, 2), "encoder.activation": "relu",
        "optimizer.name": "adam", "optimizer.learning_rate": 1.0, "optimizer.b1": 0.9, "optimizer.clip": None,
        "optimizer.nesterov": False,
        "train.steps": 100, "train.batch_size": 8, "train.log_every": 10, "train.eval_every": 0,
    }  # fmt: skip
    assert type(resolved()["optimizer.learning_rate"]) is float


def test_resolve_locks_and_leaves_its_input_alone():
    before = experiment()
    config = resolve(before, {"train.steps": "7", "encoder.name": "conv", "encoder.depth": "2"}, SCHEMA)
    assert config.is_locked and before == experiment()
    with pytest.raises(AttributeError):
        config.train.stepz = 1
    assert resolve(config, {}, SCHEMA) == config


def test_another_name_keeps_the_options_of_the_same_type():
    flat = resolved(encoder__depth="2", encoder__name="conv")
    encoder = {k: v for k, v in flat.items() if k.startswith("encoder.")}
    assert encoder == {
        "encoder.name": "conv", "encoder.depth": 2, "encoder.width": 4, "encoder.widths": (3.0, 2.0),
        "encoder.activation": True, "encoder.dropout": None, "encoder.scale": 1.0,
    }  # fmt: skip
    assert type(encoder["encoder.widths"][0]) is float
    config = experiment()
    config.encoder.activation = "tanh"
    assert resolve(config, {"encoder.name": "conv", "encoder.depth": "2"}, SCHEMA).encoder.activation is True
    assert resolve(config, {"encoder.name": "mlp"}, SCHEMA).encoder.activation == "tanh"


def test_required_values():
    assert message(resolved, encoder__name="conv").startswith("config.encoder.depth: has no value")
    config = experiment()
    del config.train["steps"]
    assert "config.train.steps: has no value" in message(resolve, config, {}, SCHEMA)
    assert resolve(config, {"train.steps": "5"}, SCHEMA).train.steps == 5
    del config["encoder"]
    assert message(resolve, config, {}, SCHEMA) == (
        "config.encoder.name: is missing; choose one encoder. There are: conv, mlp."
    )


def test_optional_parts_come_into_being_by_name():
    assert "augment.name" not in resolved()
    assert resolved(augment__name="flip")["augment.p"] == 0.5
    assert resolved(augment__name="flip", augment__p="1")["augment.p"] == 1.0
    assert "config.augment: no such key" in message(resolved, augment__p="1")


def test_a_map_of_parts_is_open_and_checked():
    assert {k: v for k, v in resolved(penalties__r1__gamma="1").items() if "penalties" in k} == {
        "penalties.r1.gamma": 1.0, "penalties.r1.weight": 1.0,
    }  # fmt: skip
    assert resolved(penalties__r1="true")["penalties.r1.gamma"] == 10.0
    config = experiment()
    config.penalties = {"r1": {"gamma": 2}, "gp": {}}
    assert flatten(resolve(config, {"penalties.r1": "false"}, SCHEMA).penalties) == {"gp.gamma": 10.0, "gp.weight": 1.0}
    assert flatten(resolve(config, {"penalties.r1": False, "penalties.gp": False}, SCHEMA).penalties) == {}
    unknown = message(resolved, penalties__r2__gamma="1")
    assert unknown == "config.penalties.r2: unknown penalty 'r2'. Did you mean 'r1'? There are: gp, r1."
    for order in (1, -1):
        items = [("penalties.r1", "false"), ("penalties.r1.weight", "3")][::order]
        assert flatten(resolve(config, dict(items), SCHEMA).penalties.r1) == {"gamma": 10.0, "weight": 3.0}
    assert "config.penalties.r1: expected bool, got 'maybe'." in message(resolved, penalties__r1="maybe")
    assert "config.penalties.r1.real: no such key." in message(resolved, penalties__r1__real="1")


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("train.steps", " 1_000 ", 1000),
        ("train.steps", "-3", -3),
        ("optimizer.learning_rate", "1e-3", 1e-3),
        ("optimizer.learning_rate", "2", 2.0),
        ("optimizer.nesterov", "True", True),
        ("optimizer.clip", "0.5", 0.5),
        ("optimizer.clip", "None", None),
        ("encoder.widths", "(500,200)", (500, 200)),
        ("encoder.widths", "500, 200", (500, 200)),
        ("encoder.widths", "[5]", (5,)),
        ("encoder.widths", "5", (5,)),
        ("encoder.widths", "", ()),
        ("encoder.activation", "none", "none"),
        ("encoder.activation", "12", "12"),
        ("encoder.activation", "'x'", "'x'"),
        ("encoder.activation", " größe\n'x' ", " größe\n'x' "),
        ("encoder.activation", "", ""),
        ("evaluators", "fid,recall", ("fid", "recall")),
        ("evaluators", "('fid',)", ("fid",)),
        ("evaluators", "fid", ("fid",)),
        ("evaluators", "fid-1,", ("fid-1",)),
    ],
)
def test_text_is_read_as_the_type_of_the_value(key, text, expected):
    value = flatten(resolve(experiment(), {key: text}, SCHEMA))[key]
    assert value == expected and type(value) is type(expected)


RANGE = " (numbers must be finite and integers within 64 bits)."


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("train.steps", "abc", "config.train.steps: expected int, got 'abc'."),
        ("train.steps", "", "config.train.steps: expected int, got ''."),
        ("train.steps", "1.0", "config.train.steps: expected int, got '1.0'."),
        ("train.steps", "true", "config.train.steps: expected int, got 'true'."),
        ("train.steps", "__import__('os')", "config.train.steps: expected int, got \"__import__('os')\"."),
        ("train.steps", str(2**63), f"config.train.steps: expected int, got '9223372036854775808'{RANGE}"),
        ("train.steps", np.int64(3), "config.train.steps: expected int, got np.int64(3)."),
        ("optimizer.learning_rate", "nan", "config.optimizer.learning_rate: expected float, got 'nan'."),
        ("optimizer.learning_rate", "1e999", f"config.optimizer.learning_rate: expected float, got '1e999'{RANGE}"),
        ("optimizer.learning_rate", float("inf"), f"config.optimizer.learning_rate: expected float, got inf{RANGE}"),
        ("optimizer.nesterov", "1", "config.optimizer.nesterov: expected bool, got '1'."),
        ("encoder.widths", "(1, 'a')", "config.encoder.widths: expected tuple of int, got \"(1, 'a')\"."),
        ("encoder.name", "cnov", "config.encoder: unknown encoder 'cnov'. Did you mean 'conv'? There are: conv, mlp."),
        ("train.steps.x", "1", "config.train.steps.x: no such key; config.train.steps is a single value."),
        ("train", "1", "config.train: is a section; set one of its keys, as in --config.train.key=value."),
        ("encoder.out", "1", "config.encoder.out: no such key. There are: activation, name, width, widths."),
        ("train.stpes", "1", "config.train.stpes: no such key. Did you mean 'steps'? "
                             "There are: batch_size, eval_every, log_every, steps."),
        ("trian.steps", "1", "config.trian: no such key. Did you mean 'train'? There are: "
                             "encoder, evaluators, family, optimizer, penalties, seed, train."),
    ],
)  # fmt: skip
def test_mistakes_in_overrides(key, value, expected):
    assert message(resolve, experiment(), {key: value}, SCHEMA) == expected


def test_mistakes_in_the_experiment_itself():
    def broken(key, value):
        config = experiment().to_dict()
        node = config
        for section in key.split(".")[:-1]:
            node = node[section]
        node[key.split(".")[-1]] = value
        return message(resolve, config, {}, SCHEMA)

    assert "config.encoder.widht: no such key. Did you mean 'width'?" in broken("encoder.widht", 3)
    assert "config.trian: no such key. Did you mean 'train'?" in broken("trian", 3)
    assert "config.train.steps: expected int, got '100'." in broken("train.steps", "100")
    assert "config.train.steps: expected plain data (numbers, strings, tuples), got array(" in broken(
        "train.steps", np.arange(3)
    )
    assert "config.encoder.activation: expected plain data" in broken("encoder.activation", nn.relu)
    assert "config.optimizer: expected a section with keys, got 'adam'." in broken("optimizer", "adam")
    assert "config.augment.name: is missing; choose one augmentation." in broken("augment", {"p": 1})
    assert "config.encoder: unknown encoder None." in broken("encoder.name", None)
    assert "keys are words without dots" in broken("train", {"a.b": 1, "steps": 1})
    assert "keys are words without dots" in broken("train", {1: 1, "steps": 1})
    assert "placeholder" in message(resolve, ConfigDict({"seed": placeholder(int, required=True)}), {}, {})


def test_what_no_schema_covers_keeps_its_own_types():
    free = {"a": {"b": 1, "c": None, "d": (1, "x")}, "e": {}}
    assert flatten(resolve(free, {"a.b": "2", "a.c": "x", "a.d": "3,'y'"}, {})) == {
        "a.b": 2, "a.c": "x", "a.d": (3, "y"), "e": {},
    }  # fmt: skip
    assert message(resolve, free, {"a.b": "x"}, {}) == "config.a.b: expected int, got 'x'."
    assert "config.e: is a section" in message(resolve, free, {"e": "x"}, {})


KEYS = st.sampled_from([*resolved(), "encoder.depth", "penalties.r1.gamma", "penalties.gp", "augment.name", "train"])
TEXTS = st.one_of(
    st.text(), st.integers().map(str), st.floats().map(repr), st.lists(st.integers()).map(repr),
    st.sampled_from(["mlp", "conv", "flip", "true", "None", "(((((", "(" * 3000, "9" * 5000, "1if", "{}", "1j"]),
)  # fmt: skip


@settings(deadline=None)
@given(st.dictionaries(st.one_of(KEYS, st.text()), TEXTS, max_size=4))
@example({"seed": "-" * 20000 + "1"})
def test_any_overrides_resolve_or_are_user_errors(overrides):
    try:
        config = resolve(experiment(), overrides, SCHEMA)
    except UserError as e:
        assert len(str(e).splitlines()) == 1 and str(e).isprintable()
        return
    flat = flatten(config)
    for key, value in resolved().items():
        if key in flat and key not in ("encoder.widths", "encoder.activation", "penalties", "optimizer.clip"):
            assert type(flat[key]) is type(value), key
    assert resolve(config, {}, SCHEMA) == config
    assert from_json(to_json(config)) == config


# JSON, diff.

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63) + 1, 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)  # fmt: skip
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="."), min_size=1, max_size=4)
TREES = st.dictionaries(NAMES, st.recursive(VALUES, lambda tree: st.dictionaries(NAMES, tree, max_size=3)), max_size=4)


@settings(deadline=None)
@given(TREES)
def test_json_round_trip(tree):
    back = from_json(to_json(tree))
    assert flatten(back) == flatten(tree) and configs.diff(tree, back) == []


@settings(deadline=None)
@given(st.text())
@example("[1]")
@example('{"a": NaN}')
@example('{"a.b": 1}')
@example('{"__class__": 1}')
@example('{"a": [{"b": 1}]}')
@example("[" * 100_000)
@example('{"a": 1e999}')
def test_other_json_is_a_user_error(text):
    try:
        assert isinstance(from_json(text), ConfigDict)
    except UserError as e:
        assert len(str(e).splitlines()) == 1


def test_diff_tells_types_and_absence():
    old = {"train": {"steps": 100, "lr": 1, "same": (1,)}, "gone": "x"}
    new = {"train": {"steps": 200, "lr": 1.0, "same": [1]}, "new": {}}
    assert configs.diff(old, new) == [
        "gone: 'x' -> (absent)", "new: (absent) -> {}", "train.lr: 1 -> 1.0", "train.steps: 100 -> 200",
    ]  # fmt: skip


@settings(deadline=None)
@given(TREES)
def test_flatten_and_unflatten_are_inverse(tree):
    assert flatten(configs.unflatten(flatten(tree))) == flatten(tree)


def test_unflatten_refuses_a_value_with_keys():
    assert message(configs.unflatten, {"a": 1, "a.b": 2}) == "config.a.b: no such key; 'a' is a single value."


# Reading experiments.

GOOD = '''
"""An experiment."""
from ml_collections import ConfigDict
from gen.config import variant as chosen

def get_config(variant: str = ""):
    full = ConfigDict({"train": {"steps": 100}, "encoder": {"name": "mlp", "width": 8}, "penalties": {"r1": {}}})
    return chosen(variant, {
        "": full,
        "smoke": {"train.steps": 2},
        "conv": {"encoder.depth": 3, "encoder.name": "conv", "penalties": {}},
        "typo": {"trian.steps": 2},
    })
'''


@pytest.fixture
def write(tmp_path):
    def write_(source, name="digits.py"):
        path = tmp_path / "vae" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(source.encode() if isinstance(source, str) else source)
        return str(path)

    return write_


def test_load_and_variants(write):
    path = write(GOOD)
    assert configs.load(path).train.steps == 100
    assert configs.load(f"{path}:").train.steps == 100
    assert configs.load(f"{path}:smoke").train.steps == 2
    assert flatten(configs.load(f"{path}:conv")) == {
        "encoder.name": "conv", "encoder.depth": 3, "penalties": {}, "train.steps": 100,
    }  # fmt: skip
    assert message(configs.load, f"{path}:smok").startswith(f"{path}: Unknown variant 'smok'. Did you mean 'smoke'?")
    assert "no such section. Did you mean 'train'?" in message(configs.load, f"{path}:typo")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1\ndef f(:\n", "{path}:2: not valid Python: invalid syntax."),
        ("x = 1\n  y = 2\n", "{path}:2: not valid Python: unexpected indent."),
        ("x = 1\n", "{path}: has no function get_config(variant) that returns a ConfigDict."),
        ("get_config = 3\n", "{path}: has no function get_config(variant) that returns a ConfigDict."),
        ("import nosuch\n", "{path}:1: ModuleNotFoundError: No module named 'nosuch'"),
        ("def get_config(variant=''):\n  x = {}\n  return x['a']\n", "{path}:3: KeyError: 'a'"),
        ("def get_config(variant=''):\n  raise ValueError('no\\nway')\n", "{path}: no way"),
        ("def get_config(variant=''):\n  pass\n", "{path}: get_config returned NoneType, not a ConfigDict."),
    ],
)
def test_files_that_are_no_experiments(write, source, expected):
    path = write(source)
    assert message(configs.load, path) == expected.format(path=path)


def test_files_that_are_not_there_or_not_text(write, tmp_path):
    path = write(GOOD)
    assert message(configs.load, path.replace("digits", "digts")).endswith(f"Did you mean {path!r}?")
    assert message(configs.load, path.replace("/vae/", "/vea/")).endswith(f"Did you mean {path!r}?")
    assert "not valid Python" in message(configs.load, write(b"\xff\xfe\x00", "binary.py"))
    assert message(configs.load, write(b"x = '\0'", "null.py")).startswith(str(tmp_path))
    (tmp_path / "folder.py").mkdir()
    assert "cannot be read: Is a directory" in message(configs.load, str(tmp_path / "folder.py"))
    path = write("def get_config(): ...", "plain.py")
    assert "takes 0 positional arguments" in message(configs.load, f"{path}:smoke")
    assert "cannot be read" in message(configs.load, "x" * 5000 + ".py")


@settings(deadline=None)
@given(st.text())
def test_any_spec_loads_or_is_a_user_error(spec):
    assert message(configs.load, spec + ".nosuch")
    assert message(configs.load, f"nosuch/folder/{spec}.py")
    assert message(configs.load, f"nosuch/folder/a.py:{spec}")


# Parts.


def test_make():
    table = SCHEMA["encoder"].table
    assert configs.make(table, resolve(experiment(), {}, SCHEMA).encoder, "encoder", out=3) == MLP(3, 4, (3, 2), "relu")
    assert configs.make({"adam": adam}, {"name": "adam", "b1": 0.5}, "optimizer") == (1e-3, 0.5, None, False)
    assert configs.make({"f": lambda kind: kind}, {"name": "f"}, "part", kind=3) == 3


def test_mistakes_in_make():
    table = {"adam": adam}
    assert "Did you mean 'adam'?" in message(configs.make, table, {"name": "adma"}, "optimizer")
    assert "This optimizer has no name. There are: adam." in message(configs.make, table, {}, "optimizer")
    assert message(configs.make, table, {"name": "adam", "b3": 1}, "optimizer") == (
        "optimizer 'adam': got an unexpected keyword argument 'b3'."
    )
    assert message(configs.make, table, {"name": "adam", "learning_rate": 0}, "optimizer") == (
        "optimizer 'adam': learning_rate must be positive, got 0 or less"
    )
    with pytest.raises(ZeroDivisionError):
        configs.make({"f": lambda: 1 / 0}, {"name": "f"}, "part")


# Command line and names.


def test_parse_argv():
    argv = ["train.py", "--config=a.py:smoke", "--config.x.y", "-1", "--alsologtostderr", "--config.a=c=d",
            "--config.b=1", "--config.b=", "--configs=1", "--", "--config.x=1"]  # fmt: skip
    assert configs.parse_argv(argv) == (
        "a.py:smoke", {"x.y": "-1", "a": "c=d", "b": ""},
        ["train.py", "--alsologtostderr", "--configs=1", "--", "--config.x=1"],
    )  # fmt: skip
    assert configs.parse_argv(["p", "--config", "a.py"]) == ("a.py", {}, ["p"])
    assert configs.parse_argv([]) == (None, {}, [])


@pytest.mark.parametrize(
    "argv", [["--config"], ["--config.a"], ["--config.a", "--config.b=1"], ["--config.", "1"], ["--noconfig.a"]]
)
def test_mistakes_in_argv(argv):
    assert argv[0] in message(configs.parse_argv, argv)


@settings(deadline=None)
@given(st.lists(st.one_of(st.text(), st.text().map("--config.".__add__), st.text().map("--config".__add__))))
def test_any_argv_parses_or_is_a_user_error(argv):
    try:
        _, overrides, rest = configs.parse_argv(argv)
    except UserError as e:
        assert len(str(e).splitlines()) == 1
        return
    assert all(isinstance(v, str) for v in overrides.values()) and len(rest) <= len(argv)


def test_experiment_name(monkeypatch, tmp_path):
    assert configs.experiment_name("experiments/vae/digits.py:smoke") == "vae/digits"
    (tmp_path / "gan").mkdir()
    monkeypatch.chdir(tmp_path / "gan")
    assert configs.experiment_name("ring.py") == "gan/ring"


def test_run_name():
    assert configs.run_name("", {}) == "default"
    assert configs.run_name("smoke", {"train.steps": "9", "seed": "1"}) == "smoke-seed=1-train.steps=9"
    for widths in ("(500,200)", "(500, 200)", (500, 200)):
        assert configs.run_name("", {"w": widths}) == "default-w=500,200"
    assert configs.run_name("", {"a": True, "b": None}) == configs.run_name("", {"b": "none", "a": "true"})
    assert configs.run_name("", {"data": "a/b"}) != configs.run_name("", {"data": "a_b"})
    assert configs.run_name("..", {}) not in ("", ".", "..")


@settings(deadline=None)
@given(st.text(), st.dictionaries(st.text(), st.text(), max_size=5))
def test_run_names_are_safe_file_names(variant, overrides):
    name = configs.run_name(variant, overrides)
    assert name == configs.run_name(variant, dict(reversed(overrides.items())))
    assert 0 < len(name) <= 80 and name.isascii() and name.isprintable() and name[0] not in ".-"
    assert not set(name) & set("/\\ :*?\"<>|'$&;()")


@settings(deadline=None)
@given(*[st.tuples(st.text("a-=", max_size=3), st.dictionaries(st.sampled_from("ab"), st.text("ab1-=/_")))] * 2)
@example(("", {"a": "1-b=2"}), ("", {"a": "1", "b": "2"}))
def test_other_overrides_are_another_run(one, other):
    assert (configs.run_name(*one) == configs.run_name(*other)) == (one == other)


# Checks of a whole config.


def train_config(**train):
    defaults = {"steps": 1000, "batch_size": 10, "log_every": 10, "eval_every": 100, "keep": 2}
    return ConfigDict({"train": defaults | train})


def test_check_train_accepts():
    configs.check_train(train_config(), 10)
    configs.check_train(train_config(eval_every=0, best="max elbo"), 10)
    configs.check_train(train_config(steps=2**32 // 10, log_every=1), 10)


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ({"eval_every": 105}, "config.train.eval_every = 105 is not a multiple of config.train.log_every = 10."),
        ({"steps": 0}, "config.train.steps = 0 must be an integer of at least 1."),
        ({"log_every": 0}, "config.train.log_every = 0 must be an integer of at least 1."),
        ({"eval_every": -10}, "config.train.eval_every = -10 must be an integer of at least 0."),
        ({"batch_size": True}, "config.train.batch_size = True must be an integer of at least 1."),
        ({"keep": 0}, "config.train.keep = 0 must be an integer of at least 1."),
        ({"steps": 2**30, "batch_size": 4}, "config.train.steps = 1073741824 times config.train.batch_size = 4 "
                                            "is not below 2**32, the most that is counted."),
        ({"batch_size": 51}, "config.train.batch_size = 51 is larger than the training set of 50 examples."),
        ({"steps": 2**32 // 10 + 1}, "config.train.steps = 429496730 times config.train.batch_size = 10 "
                                     "is not below 2**32, the most that is counted."),
    ],
)  # fmt: skip
def test_check_train_refuses(train, expected):
    assert message(configs.check_train, train_config(**train), 50) == expected


# Sweeps.


def test_sweep_algebra():
    seeds, rates = sweep("seed", range(2)), sweep("lr", (0.1, 0.2))
    assert fixed("a", 1) == [{"a": 1}]
    assert product([fixed("a", 1), seeds, rates]) == [
        {"a": 1, "seed": s, "lr": r} for s in (0, 1) for r in (0.1, 0.2)
    ]
    assert zipit([seeds, rates]) == [{"seed": 0, "lr": 0.1}, {"seed": 1, "lr": 0.2}]
    assert chainit([seeds, rates]) == [{"seed": 0}, {"seed": 1}, {"lr": 0.1}, {"lr": 0.2}]
    assert product([]) == [{}] and zipit([]) == [] and chainit([]) == []


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), max_size=4))
def test_sweep_lengths(lengths):
    sweeps = [sweep(f"k{i}", range(n)) for i, n in enumerate(lengths)]
    runs = product(sweeps)
    assert len(runs) == np.prod(lengths, dtype=int) and len({tuple(run.items()) for run in runs}) == len(runs)
    assert len(chainit(sweeps)) == sum(lengths)


def test_sweep_conflicts():
    assert message(product, [sweep("a", (1, 2)), fixed("a", 1)]) == "Two sweeps set the same key: a."
    assert message(zipit, [fixed("a", 1), fixed("a", 1)]) == "Two sweeps set the same key: a."
    assert message(zipit, [sweep("a", (1, 2)), sweep("b", (1, 2, 3))]) == "zipit: the sweeps differ in length: 2, 3."


@pytest.mark.parametrize("run", product([sweep("train.steps", (5, 6)), fixed("encoder.widths", (1,))]))
def test_runs_of_a_sweep_are_overrides(run):
    assert run.items() <= flatten(resolve(experiment(), run, SCHEMA)).items()
