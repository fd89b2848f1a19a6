"""Values, texts and bytes that find faults: limits, other types, markup, control characters, code."""

from __future__ import annotations

import math
from typing import Any

MARK = "executed-by-a-file"
"""The file that hostile texts make wherever one of them is run."""

NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2, 3, 7, 255, 65_536, 65_537, 10**6, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63),
    -(2**63) - 1, 10**18, 10**30, 10**400, 0.0, -0.0, 0.5, 1.0, 1.5, -0.1, 5e-324, 1e-300, 1e300, 1.7e308,
    math.inf, -math.inf, math.nan,
)  # fmt: skip
TEXTS: tuple[str, ...] = (
    "", " ", "~", "null", "true", "no", "1", "1.5", "0x1F", "1e999", "-1", "nan", ".inf", "x",
    "C", "C/0", "C/1", "C/99999999999", "1..C", "0..C", "5..2", "1..99999999999", "C..1", "..C",
    "2M", "0M", "-2M", "9999999999999999999T", "1.5.5K", "1%", "0%", "-5%", "100%", "1e400%", "NaN%",
    "2h", "0s", "99999999999h", "1e5m", "-1m", "1h1h", "499x350", "9x", "1x1x1", "4x", "99999x",
    "macs<=", "macs<=1", "macs<=1e999", "knee", "beauty<=1", "latency_ms<=nan", "accuracy", "<=", "<",
    "a.b.c=1", "=", "a=[", "a=&x 1", "name=", "study.trials=2", "network.blocks[0].convs=2", "a[0]=1",
    "network.blocks[999999].convs=1", "data={}", "data=", "search.segments=1..C", "network=[[[[[",
    "images:", "images:nowhere", "images:.", "images:/proc/self/fdinfo", "npz:/dev/zero", "npz:/dev/null",
    "frames:", "frames:nowhere", "frames:.", "frames:/proc/self/fdinfo",
    "parquet:nowhere", "parquet:/dev/null", "npz:space.yaml", "npz:pickled.npz", "csv:x", ":", "digits:x",
    "webdataset:", "webdataset:nowhere", "webdataset:/dev/zero", "webdataset:{space.yaml,pickled.npz}", "webdataset:**",
    "webdataset:{0..99999999999}.tar", "webdataset:{{a,b},{0..1}}", "webdataset:pipe:touch x", "webdataset:[!",
    "sqlite://", "sqlite:///", "sqlite:///.", "sqlite:///nowhere/a.db", "sqlite:///space.yaml", "a://b",
    "sqlite:///a.db?x=y", "sqlite+x:///a", "postgresql://127.0.0.1:1/none", "mysql://a:secret@b/c",
    "postgresql://me:secret@127.0.0.1:1/x?timeout=abc", "file:a", "sqlite:///\x00", "sqlite:///a%00b",
    "\x00", "\x1b[2J\x1b[1;31m", "\u202ereversed", "\x9b1m", "\r", "\n\nerror: all is well\n", "\t", "\x85",
    "\u2028", "\ufeff", "\U0001f600", "e\u0301" * 9, "\ud800", "\udcff", "\ufffe", "\u0661\u0662", "\xbd", "\xb2",
    "[/red]", "[bold red]x", "[link=file:///etc]x[/link]", "%s%n%d", "{0}", "{x!r}", "$(id)", "`id`",
    "a/../b", "a/b", ".", "a" * 300, "a" * 5000, "<script>alert(1)</script>", "'\"", "\\",
    f"$(touch {MARK})", f"; touch {MARK}", f"__import__('os').system('touch {MARK}')",
    f"!!python/object/apply:os.system ['touch {MARK}']", f"{{{{ ''.__class__ }}}} touch {MARK}",
)  # fmt: skip
TOKENS: tuple[bytes, ...] = (
    b"&a ", b"*a", b"*a: ", b"<<: *a", b"<<: {a: 1}", b"!!binary ", b"!x ", b"! ", b"? ", b"? [1]\n: 2",
    b"\n---\n", b"\n...\n", b"%YAML 9.9\n", b"%TAG ! !x\n", b"|\n", b">-\n ", b"- ", b": ", b"# ", b"@", b"`",
    b"\x00", b"\x07", b"\x1b[2J", b"\x7f", b"\xc2\x9b1m", b"\xe2\x80\xae", b"\xe2\x80\xa8", b"\xc2\x85",
    b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\xfe\xff", b"\r", b"\r\n", b"\t",
    b"[" * 20, b"{" * 20, b"[" * 100_000, b'{"a":' * 1000, b"]", b"}", b"'", b'"', b"\\", b"\\x1b", b"\\ud800",
    b"NaN", b"-Infinity", b"1e999", b"1E-999", b"9" * 5000, b"0x" + b"f" * 300, b".inf", b"-", b",", b",,",
    b'!!python/object/apply:os.system ["touch ' + MARK.encode() + b'"] ', b"cos\nsystem\n(S'id'\ntR.",
    b"&a [*a, *a]", b"x" * 70_000, b"\n" * 3000, b" " * 3000,
)  # fmt: skip
