#!/usr/bin/env python3
"""Writes tests/corpus/formats/hostile.jsonl: inputs that must be refused, each with its error code."""
import base64
import json
import os
import struct

T = "a Int32, s String"
N = "a Array(Int32)"
TIME = "t DateTime64(9,'UTC')"
big = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
CASES = []


def add(form, columns, data, code, repeat=0, end=b""):
    data = data.encode() if isinstance(data, str) else data
    end = end.encode() if isinstance(end, str) else end
    line = {"format": form, "columns": columns, "data": base64.b64encode(data).decode(), "code": code}
    if repeat:
        line.update(repeat=repeat, end=base64.b64encode(end).decode())
    CASES.append(line)


# VALUES
for data, code in [("(", 62), ("(1", 62), ("(1,", 62), ("(1,'", 62), ("(1,'\\", 62), ("(1,'a", 62), ("()", 27), ("(,)", 27), ("1,2", 27), ("[1,'a']", 27), ("(1,'a'))", 27), ("(1 'a')", 62), ("(1,'a')(", 62),
                   ("(99999999999999999999,'a')", 321), ("(-99999999999,'a')", 321), ("(--1,'a')", 27), ("(1e5,'a')", 62), ("(0x10,'a')", 62), ("(1,a)", 26), ("(1,\"a\")", 26), ("((1),'a')", 27), ("('x','a')", 27),
                   ("(1,'a') /* open", 27), ("(1,'a'); (2,'b')", 27), ("(1,'a')\x00", 27), ("\x00", 27), ("(1,'\\x", 62), ("(1,'\\x4", 62), ("(((((", 62)]:
    add("Values", T, data, code)
add("Values", T, "(", 306, 5000, "1")
add("Values", T, "(1,f(", 306, 1, "(" * 5000)
add("Values", N, "([1,2)", 62)
add("Values", N, "([1,,2])", 27)
add("Values", N, "([1 2])", 27)
add("Values", "a Map(String,Int32)", "({'a'})", 27)
add("Values", "a Map(String,Int32)", "({'a':})", 27)
add("Values", "a Tuple(Int32,String)", "((1))", 27)
add("Values", "a UUID", "('61f0c404')", 376)
add("Values", "a Bool", "(2)", 467)
add("Values", "a Decimal(9,2)", "(99999999)", 69)
add("Values", "a Decimal(9,2)", "(1e999999999)", 69)
add("Values", "a Decimal(9,2)", "(1e99999999999999)", 321)
add("Values", "a Float64", "(1.2.3)", 62)
add("Values", "a Float64", "(e5)", 72)
# times
for text, code in [("2024-00-01 00:00:00", 41), ("2024-01-00 00:00:00", 41), ("2024-01-32 00:00:00", 41), ("2023-02-29 00:00:00", 41), ("2024-01-01 24:00:00", 41), ("2024-01-01 00:60:00", 41), ("2024-01-01 00:00:61", 41),
                   ("2024-01-01 00:00:00+99:00", 41), ("2024-01-01 00:00:00+1:2:3", 41), ("9999-12-31 23:59:59", 321), ("0001-01-01 00:00:00", 321), ("99999999999999999999999", 321), ("9223372036854775808", 321),
                   ("-", 41), (".", 41), ("T", 41), ("2024-01-01 00:00:00.x", 41), ("２０２４-01-01 00:00:00", 41), ("2024-01-01\x0000:00:00", 41), ("18446744073709551615.5", 321), ("", 41)]:
    add("TabSeparated", TIME, text + "\n", code)
    add("JSONEachRow", TIME, json.dumps({"t": text}), code)
# TabSeparated and CSV
for data, code in [("1\n", 27), ("1\tx\ty\n", 27), ("\\\tx\n", 27), ("1\tx\\", 27), ("9999999999\tx\n", 321), ("1\t\xff\n".encode("latin1"), 117), ("1\tx\r\n", 117), ("1\tx\n\n", 27), ("x\tx\n", 27), ("1\t\\x\n", 25)]:
    add("TabSeparated", T, data, code)
add("TabSeparatedWithNames", T, "a\ta\n1\t2\n", 117)
add("TabSeparatedWithNamesAndTypes", T, "a\ts\nInt32\n", 117)
add("TabSeparatedWithNamesAndTypes", T, "a\ts\nInt32\tNonsense\n", 117)
add("TabSeparated", N, "[1,2\n", 27)
add("TabSeparated", "a Array(Array(Array(Int8)))", "[", 27, 3000, "\n")
add("TabSeparated", "a " + "Array(" * 100 + "Int8" + ")" * 100, "[", 27, 100, "\n")
for data, code in [("1", 27), ("1,\"a", 26), ("1,\"a\"x", 117), ("1,a,b", 117), ("x,y", 27), ("1,\"a\xff\"".encode("latin1"), 117), ("99999999999,a", 321), ("\"1", 26)]:
    add("CSV", T, data, code)
# JSON
for data, code in [("{", 27), ("{\"", 26), ("{\"a", 26), ("{\"a\"", 27), ("{\"a\":", 27), ("{\"a\":1", 33), ("{\"a\":1,", 27), ("{\"a\":1,}", 26), ("{a:1}", 26), ("{\"a\":x}", 27), ("{\"a\":{}}", 27), ("{\"a\":[]}", 27), ("{\"a\" 1}", 27),
                   ("{\"a\":1 \"s\":2}", 27), ("[1]", 27), ("[{\"a\":1}", 27), ("[[", 27), ("{\"a\":1}]", 27), ("{\"s\":\"\\u12\"}", 25), ("{\"s\":\"\\uD800\"}", 25), ("{\"s\":\"\\uDC00\"}", 25), ("{\"s\":\"\\uD800\\u0041\"}", 25),
                   ("{\"s\":\"\\", 27), ("{\"s\":\"\xff\"}".encode("latin1"), 117), ("{\"a\":1,\"a\":1}", 117), ("{\"a\":\"1x\"}", 27), ("{\"a\":9999999999}", 321), ("{\"a\":1.5}", 27), ("null", 27), ("\"a\"", 27), ("{\"zz\":}", 117), ("{\"zz\":[1,}", 117)]:
    add("JSONEachRow", T, data, code)
add("JSONEachRow", T, "{\"zz\":" + "[" * 100000, 306)
add("JSONEachRow", T, "{\"zz\":" + "{\"a\":" * 100000, 306)
add("JSONEachRow", T, "{\"s\":" + "[" * 100000, 306)
add("JSONEachRow", "a Map(String,Int32)", "{\"a\":[]}", 27)
add("JSONEachRow", "a Tuple(Int32,Int32)", "{\"a\":[1]}", 27)
add("JSONEachRow", "a Tuple(Int32,Int32)", "{\"a\":[1,2,3]}", 27)
for data, code in [("[1]", 27), ("[1,\"x\",2]", 27), ("[", 27), ("{}", 27), ("[1,\"x\"", 27)]:
    add("JSONCompactEachRow", T, data, code)
for data, code in [("{", 27), ("[]", 27), ("{\"data\":[{]}", 26), ("{\"data\":{}}", 27), ("{\"data\":[{\"a\":1}]", 27), ("{\"data\":[{\"a\":1}]} x", 27), ("{\"meta\":" + "[" * 5000, 306)]:
    add("JSON", T, data, code)
# RowBinary
for data, code in [(b"\x01", 33), (b"\x01\x00\x00\x00", 32), (b"\x01\x00\x00\x00\x05ab", 33), (b"\x01\x00\x00\x00" + big, 131), (b"\x01\x00\x00\x00" + b"\xff" * 11, 117), (b"\x01\x00\x00\x00\x80", 32),
                   (b"\x01\x00\x00\x00\x01\xff", 117), (b"\x01\x00\x00\x00\xff\xff\xff\xff\x07", 131), (b"\x01\x00\x00\x00\xff\xff\xff\x1f", 33)]:
    add("RowBinary", T, data, code)
add("RowBinary", N, big, 131)
add("RowBinary", N, b"\xff\xff\xff\x1f\x01\x00\x00\x00", 33)
add("RowBinary", "a Array(Array(Int8))", b"\xff\xff\x03" * 2, 33)
add("RowBinary", "a Bool", b"\x02", 467)
add("RowBinary", "a Decimal(9,2)", struct.pack("<i", 2000000000), 69)
add("RowBinary", "a DateTime64(8,'UTC')", struct.pack("<q", 2**62), 321)
add("RowBinaryWithNamesAndTypes", T, big, 131)
add("RowBinaryWithNamesAndTypes", T, b"\x01\x01a\x06Nonsns", 117)
add("RowBinaryWithNamesAndTypes", T, b"\x01\x01z\x06Nonsns", 50)
add("RowBinaryWithNamesAndTypes", T, b"\x01\x01z" + bytes([103]) + b"Array(" * 17 + b"x", 50)
add("RowBinaryWithNames", T, b"\x01\x01z", 117)
add("RowBinaryWithNames", T, b"\x02\x01a\x01a", 117)
add("RowBinaryWithNames", T, b"\x00\x01z", 117)
add("RowBinaryWithNamesAndTypes", T, b"\x00z", 117)
# Native
def text(value):
    low, high = len(value) % 128, len(value) // 128
    return (bytes([low | 128, high]) if high else bytes([low])) + value.encode()


def block(columns, rows, *parts):
    return bytes([columns, rows]) + b"".join(text(name) + text(ty) + data for name, ty, data in parts)


u64 = lambda value: struct.pack("<Q", value)
low = lambda flags, count, words, rows, numbers: u64(1) + u64(flags) + u64(count) + words + u64(rows) + numbers
for data, code in [(b"\x01", 32), (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01", 131), (b"\x01" + big, 131), (b"\x00\x05", 117), (b"\x80", 32), (b"\xff" * 11, 117), (b"\x80" * 11, 117), (b"\x01\x01", 32), (b"\x01\x01\x01", 33), (b"\x01\x01\x01a\x05Int3", 33),
                   (block(1, 1, ("a", "Int32", b"\x00\x00\x00")), 33), (block(1, 1, ("a", "Nonsense", b"\x00")), 50), (block(1, 1, ("a", "", b"\x00")), 50), (block(1, 1, ("a", "Array(", b"\x00")), 50), (block(1, 1, ("a", "Array()", b"\x00")), 50),
                   (block(1, 1, ("a", "Nullable(Array(Int8))", b"\x00")), 43), (block(1, 1, ("a", "Nullable(Nullable(Int8))", b"\x00")), 43), (block(1, 1, ("a", "LowCardinality(Array(Int8))", b"\x00")), 50), (block(1, 1, ("a", "Nullable(Int32)", b"")), 33),
                   (block(1, 1, ("s", "String", b"")), 33), (block(1, 1, ("s", "String", b"\x05ab")), 33), (block(1, 1, ("s", "String", big)), 131), (block(1, 1, ("s", "String", b"\xff\xff\xff\x1f")), 33), (block(1, 1, ("s", "String", b"\x01\xff")), 117),
                   (block(1, 2, ("a", "Int32", b"\x00" * 7)), 33), (block(2, 1, ("a", "Int32", b"\x00" * 4)), 32), (block(1, 1, ("a", "String", b"\x01x")), 27), (block(1, 1, ("a", "Int64", u64(2**40))), 321),
                   (b"\x01\x01\x01a" + b"\xff\x01" + b"Array(" * 42 + b"x", 33), (b"\x01\x01\x01a" + b"\x86\x80\x01" + b"Array(" * 2731, 131)]:
    add("Native", T, data, code)
add("Native", T, block(1, 1, ("a", "Tuple(" * 329, b"\x00" * 20)), 50)
add("Native", T, block(1, 1, ("a", "Array(" * 256 + "Int8" + ")" * 256, b"\x00" * 20)), 167)
add("Native", T, block(1, 1, ("a", "Array(" * 100 + "Int8" + ")" * 100, u64(1) * 99)), 33)
for data, code in [(u64(5), 33), (u64(2**63), 117), (u64(2**31), 117), (u64(2**31 - 1) + b"\x00" * 64, 33), (u64(1), 33)]:
    add("Native", N, block(1, 1, ("a", "Array(Int32)", data)), code)
add("Native", N, block(1, 2, ("a", "Array(Int32)", u64(2) + u64(1) + b"\x00" * 8)), 117)
add("Native", N, block(1, 1, ("a", "Array(Int32)", u64(1) + b"\x00" * 4)) + b"\x01", 32)
for data, code in [(u64(2), 117), (u64(1)[:5], 33), (low(0x601, 1, b"\x00", 1, b"\x00"), 33), (low(0x604, 1, b"\x00", 1, b"\x00"), 117), (low(0x100, 1, b"\x00", 1, b"\x00"), 117), (low(0x600, 2**63, b"\x00", 1, b"\x00"), 117),
                   (low(0x600, 2**30, b"\x00", 1, b"\x00"), 33), (low(0x600, 1, b"\x00", 2, b"\x00\x00"), 117), (low(0x600, 1, b"\x00", 0, b"\x00"), 117), (low(0x600, 1, b"\x00", 1, b"\x01"), 117), (low(0x600, 0, b"", 1, b"\x00"), 117), (low(0x603, 1, b"\x00", 1, u64(2**64 - 1)), 117), (low(0x600, 1, b"\x01\xff", 1, b"\x00"), 117)]:
    add("Native", "s LowCardinality(String)", block(1, 1, ("s", "LowCardinality(String)", data)), code)
add("Native", "a Decimal(9,2)", block(1, 1, ("a", "Decimal(9, 2)", struct.pack("<i", 2000000000))), 69)
add("Native", "t DateTime64(8,'UTC')", block(1, 1, ("t", "DateTime64(8)", struct.pack("<q", 2**62))), 321)
add("Native", "t DateTime64(9,'UTC')", block(1, 1, ("t", "DateTime64(0)", struct.pack("<q", 2**62))), 321)
add("Native", "t DateTime64(9,'UTC')", block(1, 1, ("t", "Float64", struct.pack("<d", float("nan")))), 321)
add("Native", "t DateTime64(9,'UTC')", block(1, 1, ("t", "Float64", struct.pack("<d", 1e300))), 321)
add("Native", "a Decimal(9,2)", block(1, 1, ("a", "Float64", struct.pack("<d", float("inf")))), 321)
add("Native", "a Int32", block(1, 1, ("a", "Tuple()", b"0")), 53)
# JSON with names, as strings, by columns
for data, code in [("[", 27), ("[]", 27), ("{}", 27), ("[1]\n[1]", 26), ("[\"a\"", 27), ("[\"a\",\"a\"]\n[1,2]", 117), ("[\"a\"]\n[1", 27), ("[\"a\"]\n[1,2]", 27), ("[\"a\"]\n1", 27), ("[\"a", 26), ("[[\"a\"]]", 26)]:
    if code != 27 or data != "[]":
        add("JSONCompactEachRowWithNames", T, data, code)
add("JSONCompactEachRowWithNamesAndTypes", T, "[\"a\"]\n[\"Int32\",\"Int8\"]\n[1]", 117)
add("JSONCompactEachRowWithNamesAndTypes", T, "[\"a\"]\n[\"Nonsense\"]\n[1]", 117)
add("JSONCompactEachRowWithNames", T, "[" + "\"z\"," * 5000, 117)
for data, code in [("{\"a\":1}", 26), ("{\"a\":\"1x\"}", 27), ("{\"a\":\"\"}", 27), ("{\"a\":\"9999999999\"}", 321), ("{\"a\":null}", 26), ("{\"s\":\"\xff\"}".encode("latin1"), 117), ("{\"a\":\"1", 26)]:
    add("JSONStringsEachRow", T, data, code)
add("JSONStringsEachRow", "a " + "Array(" * 100 + "Int8" + ")" * 100, "{\"a\":\"" + "[" * 101 + "\"}", 27)
for data, code in [("{", 27), ("[]", 27), ("{\"a\"", 27), ("{\"a\":1}", 27), ("{\"a\":[1}", 27), ("{\"a\":[1],\"s\":[]}", 117), ("{\"a\":[1],\"a\":[1]}", 117), ("{\"a\":[1]} x", 27), ("{\"a\":[1]", 27), ("{\"a\":[[1]]}", 27), ("{\"a\":[1,]}", 117), ("{\"s\":[\"\xff\"]}".encode("latin1"), 117), ("{\"a\":[\"1x\"]}", 27), ("{\"a\":[1e5x]}", 27)]:
    add("JSONColumns", T, data, code)
add("JSONColumns", T, "{\"zz\":" + "[" * 100000, 306)
for data, code in [("{}", 27), ("[1]", 27), ("[[1],[\"x\"],[2]]", 117), ("[[1],[]]", 117), ("[[1]", 27)]:
    add("JSONCompactColumns", T, data, code)
for data, code in [("[]", 27), ("{\"data\":[]}", 27), ("{\"data\":{\"a\":[1]}", 27), ("{\"meta\":" + "[" * 5000, 306)]:
    add("JSONColumnsWithMetadata", T, data, code)
# MsgPack
for data, code in [(b"\x01", 117), (b"\xc1", 117), (b"\x01\xc1", 117), (b"\x01\xa5ab", 117), (b"\x01\xc6\xff\xff\xff\xff", 117), (b"\x01\xdb\xff\xff\xff\xffab", 117), (b"\xce\xff\xff\xff\xff\xa1x", 321), (b"\x01\xa1\xff", 117), (b"\x90\xa1x", 53), (b"\x01\x90", 53), (b"\xcb\x00", 117), (b"\x01\xc7\x05\x02abcde", 53), (b"\xa1x\xa1x", 27)]:
    add("MsgPack", T, data, code)
for data, code in [(b"\xdd\xff\xff\xff\xff", 117), (b"\xdc\xff\xff\x01", 117), (b"\x92\x01", 117), (b"\x91\x91\x01", 53), (b"\x05", 53)]:
    add("MsgPack", N, data, code)
add("MsgPack", "a " + "Array(" * 100 + "Int8" + ")" * 100, "", 53, 1, b"\x91" * 101 + b"\x01")
add("MsgPack", "a UUID", b"\xd8\x02" + b"\x00" * 15, 117)
add("MsgPack", "a UUID", b"\xc4\x03abc", 376)
add("MsgPack", "a Decimal(9,2)", b"\xce\xff\xff\xff\xff", 69)
add("MsgPack", "a Decimal(38,2)", b"\xc4\x10" + b"\x7f" * 16, 69)
add("MsgPack", "a DateTime64(8,'UTC')", b"\xcf\x40" + b"\x00" * 7, 321)
add("MsgPack", "a Tuple(Int8,Int8)", b"\x91\x01", 117)
# Arrow and Parquet
for data, code in [(b"A", 33), (b"ARROW1", 33), (b"NOTARROW1", 117), (b"ARROW1\0\0" + b"\xff" * 8, 117), (b"ARROW1\0\0\xff\xff\xff\xff\x10\x00\x00\x00" + b"\x00" * 16, 117), (b"ARROW1\0\0\xff\xff\xff\xff\xff\xff\xff\x7f", 117), (b"ARROW1\0\0\xff\xff\xff\xff\x10\x00\x00\x00", 33)]:
    add("Arrow", T, data, code)
for data, code in [(b"\xff", 33), (b"\xff\xff\xff\xff\x00\x00\x00\x80", 117), (b"\x10\x00\x00\x00" + b"\xff" * 16, 117), (b"INSERT INTO", 117), (b"\xff\xff\xff\xff\x08\x00\x00\x00" + b"\x04\x00\x00\x00\x00\x00\x00\x00", 117)]:
    add("ArrowStream", T, data, code)
for data, code in [(b"PAR1", 117), (b"x", 117), (b"PAR1PAR1", 117), (b"PAR1\xff\xff\xff\xffPAR1", 117), (b"PAR1" + b"\x00" * 20 + b"\x10\x00\x00\x00PAR1", 117), (b"\x00" * 64, 117)]:
    add("Parquet", T, data, code)

here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "../../../tests/corpus/formats/hostile.jsonl"), "w") as out:
    for case in CASES:
        out.write(json.dumps(case) + "\n")
