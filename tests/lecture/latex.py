"""The value of a formula in LaTeX, as a page has it: sums, products, quotients, powers, roots and functions."""

import re

import numpy as np

TOKEN = re.compile(r"\\[A-Za-z]+|[A-Za-z]|\d+(?:\.\d+)?|\S")
IGNORED = re.compile(r"\\(?:[,;! ]|left\b|right\b|odot\b|big\b|qquad\b|quad\b)")
FUNCTIONS = {r"\log": np.log, r"\exp": np.exp, r"\min": min, r"\max": max}
CLOSING = {"(": ")", "{": "}", "[": "]"}


def evaluate(latex: str, **values):
    r"""The right side of `latex`, up to its first \qquad, where names stand for `values`.

    `\hat{x}` is called x_hat, `s_{2}` and `s_2` s_2, `\sigma` sigma; a value that can be called takes what follows in
    parentheses. Raises KeyError for a name without a value, and ValueError for what is no formula of this kind.
    """
    side = re.split(r"\\q?quad", latex)[0].rstrip(", ").rpartition("=")[2]
    reader = Reader(TOKEN.findall(IGNORED.sub(" ", side.replace(r"\tfrac", r"\frac"))), values)
    found = reader.total()
    if reader.next is not None:
        raise ValueError(f"{reader.next!r} of {side!r} is not understood")
    return found


class Reader:
    """Reads tokens from the left, a method for each level of binding."""

    def __init__(self, tokens, values):
        self.tokens, self.values = list(tokens), values

    @property
    def next(self):
        return self.tokens[0] if self.tokens else None

    def take(self, expected: str = ""):
        if expected and self.next != expected:
            raise ValueError(f"{expected!r} is missing before {self.next!r}")
        return self.tokens.pop(0)

    def total(self):
        negative = self.next == "-" and self.take()
        value = -self.product() if negative else self.product()
        while self.next in ("+", "-"):
            value = value + self.product() if self.take() == "+" else value - self.product()
        return value

    def product(self):
        value = self.power()
        while self.next not in (None, "+", "-", ")", "}", "]", "|", ",", ">"):
            if self.next == "/":
                self.take()
                value = value / self.power()
            else:
                value = value * self.power()
        return value

    def power(self):
        base = self.factor()
        if self.next == "^":
            self.take()
            base = base ** (self.group() if self.next == "{" else self.factor())
        return base

    def group(self, opening: str = "{"):
        self.take(opening)
        value = self.total()
        self.take(CLOSING[opening])
        return value

    def arguments(self):
        self.take("(")
        found = [self.total()]
        while self.next == ",":
            self.take()
            found.append(self.total())
        self.take(")")
        return found

    def factor(self):
        if self.next in CLOSING:
            return self.group(self.next)
        token = self.take()
        if token == "|":
            value = abs(self.total())
            self.take("|")
            return value
        if token == r"\frac":
            return self.group() / self.group()
        if token == r"\sqrt":
            return np.sqrt(self.group())
        if token in FUNCTIONS:
            many = self.next == "(" and token in (r"\min", r"\max")
            return FUNCTIONS[token](*(self.arguments() if many else [self.product()]))
        return float(token) if token[0].isdigit() else self.named(token)

    def named(self, token: str):
        name = token.lstrip("\\")
        if name in ("hat", "mathrm"):
            inside = "".join(self.braces()).replace("\\", "")
            name = f"{inside}_hat" if name == "hat" else inside
        if self.next == "_":
            self.take()
            name += "_" + "".join(self.braces() if self.next == "{" else [self.take()])
        if name == "pi":
            return np.pi
        value = self.values[name]
        return value(*self.arguments()) if callable(value) and self.next == "(" else value

    def braces(self):
        self.take("{")
        end = self.tokens.index("}")
        inside, self.tokens = self.tokens[:end], self.tokens[end + 1:]
        return inside
