"""Rules whose cost a real API server was asked for, and definitions that it took or refused for theirs."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def _text(**bounds: Any) -> Schema:
    return {"type": "string", **bounds}


def _list(items: Schema, **bounds: Any) -> Schema:
    return {"type": "array", "items": items, **bounds}


def _map(values: Schema, **bounds: Any) -> Schema:
    return {"type": "object", "additionalProperties": values, **bounds}


def _object(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


INT = {"type": "integer"}
SCHEMA = _object(
    n=INT,
    m=INT,
    flag={"type": "boolean"},
    number={"type": "number"},
    either={"x-kubernetes-int-or-string": True},
    bounded_either={"x-kubernetes-int-or-string": True, "maxLength": 20},
    short=_text(maxLength=10),
    long=_text(maxLength=1000),
    choice=_text(enum=["a", "middle", "the longest"]),
    data=_text(format="byte", maxLength=64),
    day=_text(format="date"),
    moment=_text(format="date-time"),
    period=_text(format="duration"),
    numbers=_list(INT, maxItems=50),
    names=_list(_text(maxLength=20), maxItems=30),
    names_set=_list(_text(maxLength=20), maxItems=10),
    items=_list(_object(("key",), key=_text(maxLength=8), tags=_list(_text(maxLength=5), maxItems=4)), maxItems=20),
    labels=_map(_text(maxLength=63), maxProperties=16),
    tree=_object(leaf=_object(name=_text(maxLength=16))),
    grid=_list(_list(INT, maxItems=6), maxItems=5),
    boundless=_list(INT),
)
SCHEMA["properties"]["a-b"] = INT

EXPRESSIONS = """
true
self.n > 3
self.n + self.m == 7
self.flag
!self.flag || self.n > 1
self.number < 1.5
self.a__dash__b == 1
has(self.tree) && has(self.tree.leaf)
has(self.tree.leaf.name) ? self.tree.leaf.name == 'x' : true
self.either == 5
type(self.either) == int
type(self.bounded_either) == string ? self.bounded_either.size() > 1 : self.bounded_either < 5
self.short == 'hello'
self.short != self.long
self.short < self.long
self.short + self.short == 'x'
self.long.size() > 5
size(self.long) > 5
self.long.startsWith('abc')
self.long.endsWith(self.short)
self.long.contains('abcdefghijkl')
self.long.contains(self.short)
self.long.matches('^[a-z]+$')
self.short.matches(self.short)
self.long.find('[0-9]+') == ''
self.long.findAll('[0-9]+').size() < 3
self.long.findAll('[0-9]+').all(x, x.size() > 1)
self.long.split(',').size() > 1
self.long.split(',').all(x, x != '')
self.long.split(',', 3).all(x, x != 'abc')
self.long.replace('a', 'bcd') == 'x'
self.long.replace('abc', 'd') == self.long
self.long.replace('', 'xy').size() > 2
self.long.replace('a', 'bb').contains('xyz')
self.short.lowerAscii() == self.short.upperAscii()
self.long.substring(1) == self.long.trim()
self.long.substring(1, 4) == 'abc'
self.long.indexOf('x') == 3
self.long.lastIndexOf('x') == 3
self.long.charAt(3) == 'x'
self.choice == 'a'
self.choice in ['a', 'b', 'c']
self.data == b'abc'
self.data.size() > 5
bytes(self.short) == self.data
string(self.data) == self.short
self.day > timestamp('2020-01-01T00:00:00Z')
self.moment == self.moment
self.moment < timestamp('2030-01-01T00:00:00Z')
self.period > duration('5m')
self.moment.getFullYear() > 2000
self.numbers.all(x, x > 3)
self.numbers.exists(x, x == 3)
self.numbers.exists_one(x, x == 3)
self.numbers.map(x, x + 1).all(x, x > 2)
self.numbers.filter(x, x > 1).size() == 3
self.numbers.map(x, x > 1, x * 2).sum() < 7
self.numbers.all(x, self.numbers.all(y, x <= y))
self.numbers.all(x, self.numbers.exists_one(y, x == y))
self.numbers[0] == 1
self.numbers.isSorted()
self.numbers.sum() > 3
self.numbers.min() < self.numbers.max()
self.numbers.indexOf(3) == 1
self.numbers == self.numbers
3 in self.numbers
self.numbers + [1, 2] == [3]
(self.numbers + self.numbers).all(x, x > 1)
self.names.all(x, x.size() > 2)
self.names.all(x, x.startsWith('ab'))
self.names.all(x, x == self.short)
self.names.all(x, self.names.exists_one(y, x == y))
self.names.exists(x, x in ['a', 'b'])
self.names.map(x, x + 'y').all(x, x.contains('y'))
self.names.map(x, x + 'y') == ['z']
self.names.filter(x, x.matches('a+b')).size() > 0
self.names.isSorted()
self.names.min() == 'a'
self.names.join(',') == 'a,b'
self.names.join() == 'ab'
self.names.map(x, x).join('-').size() < 9
self.names[0] == 'abc'
self.names[0].contains(self.names[1])
'a' in self.names
self.names.indexOf('a') > 1
['a', 'bc'].all(x, x == self.short)
['a', 'bc'].exists(x, x + 'd' == self.short)
[self.short, self.long][0] == 'x'
[[1, 2], [3]].all(x, x.size() > 0)
{'a': 1, 'bc': 2}['a'] == 1
{'a': self.long}.all(k, k == 'abc')
{'a': self.long}['a'].contains('bcd')
[].size() == 0
self.items.all(i, i.key == 'x')
self.items.all(i, i.tags.all(t, t.size() > 1))
self.items.all(i, i.tags.exists(t, t == i.key))
self.items.map(i, i.key).all(k, k != '')
self.items.filter(i, i.key == 'a')[0].tags.size() > 1
self.items[0].tags[1] == 'x'
self.items.exists(i, has(i.tags) && 'x' in i.tags)
self.items.all(i, self.items.filter(j, j.key == i.key).size() == 1)
self.labels.all(k, k == 'x')
self.labels.all(k, self.labels[k] == 'value')
self.labels.exists(k, k.startsWith('a') && self.labels[k].contains('b'))
'x' in self.labels
self.labels['x'] == 'y'
self.labels.x == 'y'
self.labels == self.labels
size(self.labels) < 3
self.grid.all(r, r.all(c, c > 0))
self.grid[0][1] == 3
self.grid.map(r, r.sum()).sum() < 100
self.tree == self.tree
self.tree.leaf.name.matches('[a-z]([-a-z0-9]*[a-z0-9])?')
self.boundless.size() > 3
self.n in [1, 2, 3]
self.n == 1 ? self.short == 'a' : self.long == 'b'
(self.n == 1 ? self.short : self.long).contains('abc')
(self.flag ? self.names : ['a']).all(x, x == 'b')
dyn(self.short) == 'x'
dyn(self.names).all(x, x == 'y')
string(self.n).size() > 2
int(self.short) > 3
double(self.n) > 1.0
-self.n < 3
self.n % 2 == 0
self.n * 3 - 1 == 5
isQuantity(self.short)
quantity(self.short) == quantity('5Mi')
quantity(self.short).isLessThan(quantity('10Gi'))
quantity('1Gi').add(quantity(self.short)).compareTo(quantity('2Gi')) < 0
isURL(self.long)
url(self.long).getHost() == 'x'
url(self.short) == url('https://example.com')
isIP(self.short)
ip(self.short).family() == 4
ip(self.short) == ip('127.0.0.1')
ip.isCanonical(self.short)
isCIDR(self.short)
cidr('10.0.0.0/8').containsIP(self.short)
cidr('10.0.0.0/8').containsIP(ip(self.short))
cidr('10.0.0.0/8').containsCIDR(self.short)
cidr(self.short).ip().family() == 6
cidr(self.short).masked() == cidr('10.0.0.0/8')
sets.contains(self.names, ['a', 'b'])
sets.equivalent(self.names, self.names_set)
sets.intersects(self.names_set, self.names)
'%s is %d'.format([self.short, self.n]) == 'x'
self.?tree.?leaf.hasValue()
self.?short.orValue('none').size() > 2
self.?n.orValue(3) > 2
self.labels[?'a'].hasValue()
self.?n.optMap(v, v + 1).orValue(2) > 1
optional.of(self.short).hasValue()
self.names.map(x, x + 'abc').exists(x, x == self.long)
self.names.map(x, [x]).all(l, l[0] == 'a')
[self.names, self.names_set].all(l, l.all(x, x == 'ab'))
self.items.map(i, i.tags).all(l, l.exists(t, t == 'x'))
self.n == oldSelf.n
self.names == oldSelf.names
self.names.all(x, x in oldSelf.names)
oldSelf.items.all(o, self.items.exists(i, i.key == o.key))
self.short == oldSelf.short || self.long == oldSelf.long
self.n >= 0 && self.n <= 10 && self.m >= 0 && self.m <= 10 && self.short != '' && self.long != ''
[self.n, self.m].filter(x, x > 0).size() == 1
(has(self.n) ? 1 : 0) + (has(self.m) ? 1 : 0) == 1
[has(self.n), has(self.m), has(self.short)].exists_one(x, x)
self.names.all(x, self.items.all(i, i.tags.all(t, t != x)))
type(self.n) == int
""".strip().splitlines()
"""Rules about a value of ``SCHEMA``: each one's cost is exact."""


def _spec(spec: Schema, *rules: str, message: str = "") -> Schema:
    made = [{"rule": rule, **({"messageExpression": message} if message else {})} for rule in rules]
    return _object(spec={**spec, **({"x-kubernetes-validations": made} if made else {})})


def _ruled(schema: Schema, *rules: str) -> Schema:
    return {**schema, "x-kubernetes-validations": [{"rule": rule} for rule in rules]}


_UNIQUE = "self.items.all(x, self.items.exists_one(y, x == y))"
_CUBIC = "self.items.all(x, self.items.all(y, self.items.all(z, x + y + z > 0)))"


def _items(items: Schema, *rules: str, **bounds: Any) -> Schema:
    return _spec(_object(items=_list(items, **bounds)), *rules)


_PAST = "self.items.all(x, x > timestamp('2020-01-01T00:00:00Z'))"
_NAMED = "self.metadata.name.matches('^[a-z]{1,9}$')"
_LOOP = _ruled(_object(t=_list(INT, maxItems=100)), "self.t.all(x, x > 1)")
_WORD = _ruled(_text(maxLength=63), "self.matches('^[a-z]+$')")
_LOOSE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_ADDRESS = _text(maxLength=39)


def _many(count: int) -> list[str]:
    return [f"{_UNIQUE} || {n} > 1" for n in range(count)]


def _sets(one: int, other: int) -> Schema:
    lists = _object(a=_list(INT, maxItems=one), b=_list(INT, maxItems=other))
    return _spec(lists, "sets.contains(self.a, self.b)")


DEFINITIONS: dict[str, Schema] = {
    # One loop over what has no bound, and how dear it is by what its items are.
    "a loop over integers without bound": _items(INT, "self.items.all(x, x > 0)"),
    "a loop over texts without bound": _items(_text(), "self.items.all(x, x.size() > 0)"),
    "texts without bound compared": _items(_text(), "self.items.all(x, x == 'abc')"),
    "texts without bound searched": _items(_text(), "self.items.all(x, x.contains('abc'))"),
    "a loop over objects that are never small": _items(
        _object(("a", "b", "c"), a=_text(), b=_text(), c=_text()), "self.items.all(x, x.a.size() > 0)"
    ),
    "a loop over a map without bound": _spec(_object(m=_map(INT)), "self.m.all(k, self.m[k] > 0)"),
    "keys of a map without bound": _spec(_object(m=_map(_text())), "self.m.all(k, k.startsWith('a'))"),
    "a pattern on a text without bound": _spec(_object(t=_text()), "self.t.matches('^[a-z]+$')"),
    "a long pattern on a text without bound": _spec(_object(t=_text()), f"self.t.matches('^({'abc|' * 60}d)$')"),
    "a text without bound compared": _spec(_object(t=_text()), "self.t == 'x'"),
    "two texts without bound compared": _spec(_object(t=_text(), u=_text()), "self.t == self.u"),
    "two texts without bound, one in the other": _spec(_object(t=_text(), u=_text()), "self.t.contains(self.u)"),
    "a text without bound split": _spec(_object(t=_text()), "self.t.split(',').all(x, x.size() > 1)"),
    "a text without bound split and compared": _spec(_object(t=_text()), "self.t.split(',').all(x, x == 'a')"),
    # Loops within loops, near the limit on both sides.
    "unique integers, 900": _items(INT, _UNIQUE, maxItems=900),
    "unique integers, 1000": _items(INT, _UNIQUE, maxItems=1000),
    "unique integers, 1100": _items(INT, _UNIQUE, maxItems=1100),
    "unique integers, 1300": _items(INT, _UNIQUE, maxItems=1300),
    "unique integers, 1500": _items(INT, _UNIQUE, maxItems=1500),
    "unique integers, 2000": _items(INT, _UNIQUE, maxItems=2000),
    "unique integers, no bound": _items(INT, _UNIQUE),
    "unique short texts, 700": _items(_text(maxLength=10), _UNIQUE, maxItems=700),
    "unique short texts, 1000": _items(_text(maxLength=10), _UNIQUE, maxItems=1000),
    "unique long texts, 200": _items(_text(maxLength=500), _UNIQUE, maxItems=200),
    "unique long texts, 300": _items(_text(maxLength=500), _UNIQUE, maxItems=300),
    "three loops, 80": _items(INT, _CUBIC, maxItems=80),
    "three loops, 100": _items(INT, _CUBIC, maxItems=100),
    "three loops, 120": _items(INT, _CUBIC, maxItems=120),
    "three loops, 400": _items(INT, _CUBIC, maxItems=400),
    "three loops, no bound": _items(INT, _CUBIC),
    # A rule on the items counts as often as there can be items.
    "a rule on each item, no bound": _items(_ruled(INT, "self > 0")),
    "a rule on each text, no bound": _items(_ruled(_text(), "self.size() > 0")),
    "a comparison on each text, no bound": _items(_ruled(_text(), "self == 'abc'")),
    "a pattern on each text, no bound": _items(_ruled(_text(), "self.matches('a+')")),
    "a pattern on each short text, no bound": _items(_WORD),
    "a pattern on each short text, 5000": _items(_WORD, maxItems=5000),
    "a rule on each object, no bound": _items(_ruled(_object(a=INT, b=INT), "self.a < self.b")),
    "a rule on each object with much that is required": _items(
        _ruled(_object(("alpha", "beta"), alpha=_text(), beta=_text()), "self.alpha != '' && self.beta != ''")
    ),
    "a rule on each value of a map": _spec(_object(m=_map(_ruled(_object(a=INT), "self.a > 1 && self.a < 9")))),
    "a rule on each value of a bounded map": _spec(
        _object(m=_map(_ruled(_object(a=_text()), "self.a == 'x'"), maxProperties=10))
    ),
    "lists in lists, both bounded": _items(_list(_ruled(_text(), "self != ''"), maxItems=10), maxItems=20),
    "lists in lists, the inner bounded": _items(_list(_ruled(_text(maxLength=9), "self != ''"), maxItems=10)),
    "lists in lists, the outer bounded": _items(_list(_ruled(_text(maxLength=9), "self != ''")), maxItems=10),
    "a loop on each of many": _items(_LOOP, maxItems=400),
    "a loop on each of more": _items(_LOOP, maxItems=40000),
    "a loop without bound on each of few": _items(_ruled(_object(t=_list(INT)), "self.t.all(x, x > 1)"), maxItems=3),
    "any fields at the values": _items(_LOOSE, "self.items.size() < 9"),
    # Messages count once; the total counts everything.
    "a dear message": _spec(_object(t=_text(), u=_text()), "true", message="self.t.contains(self.u) ? 'a' : 'b'"),
    "a fair message": _spec(_object(t=_text(maxLength=99)), "true", message="'found ' + self.t"),
    "eleven rules that are just cheap enough": _items(INT, *_many(11), maxItems=1100),
    "forty rules that are just cheap enough": _items(INT, *_many(40), maxItems=1100),
    "six rules, one of them too dear": _items(INT, "self.items.all(x, x > 0)", *["true"] * 4, _CUBIC, maxItems=300),
    "many small rules": _spec(_object(n=INT), *[f"self.n != {n}" for n in range(60)]),
    "oldSelf in a loop": _items(_text(maxLength=99), "self.items.all(x, x in oldSelf.items)", maxItems=99),
    "oldSelf in a loop, no bound": _items(_text(), "self.items.all(x, x in oldSelf.items)"),
    "times and durations without bound": _items(_text(format="date-time"), _PAST),
    "choices without bound": _items(_text(enum=["a", "b"]), "self.items.all(x, x == 'a')"),
    "the resource's own name": _ruled(_object(spec=_object(n=INT)), "self.metadata.name == 'x'"),
    "the resource's own name in a pattern": _ruled(_object(spec=_object(n=INT)), _NAMED),
    "addresses without bound": _items(_text(), "self.items.all(x, isIP(x))"),
    "addresses of fair length": _items(_text(maxLength=39), "self.items.all(x, isIP(x))", maxItems=1000),
    "different addresses": _spec(_object(a=_ADDRESS, b=_ADDRESS), "ip(self.a) != ip(self.b)"),
    "a set against a set": _sets(3000, 3000),
    "a set against a larger set": _sets(4000, 3000),
}
