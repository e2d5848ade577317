#!/usr/bin/env python3
"""Makes the golden files of the formats with a real ClickHouse.

    python3 -m venv oracle && oracle/bin/pip install chdb==4.4.0
    oracle/bin/python crates/formats/tests/oracle.py

`golden/output.jsonl`: rows (as VALUES) and what each format writes for them.
`golden/input.jsonl`: bytes in a format and the rows (as TabSeparated) or the error code they give.
Where this project decides otherwise than ClickHouse the case says so in `ours`, with the reason.
"""
import base64
import json
import os
import re
import tempfile

import chdb
from chdb import session

assert chdb.__version__ == "4.4.0", chdb.__version__
HERE = os.path.dirname(os.path.abspath(__file__))
SESSION = session.Session()

TEXT = ["TabSeparated", "TabSeparatedWithNames", "TabSeparatedWithNamesAndTypes", "TabSeparatedRaw", "CSV", "CSVWithNames",
        "CSVWithNamesAndTypes", "Values", "JSON", "JSONCompact", "JSONEachRow", "JSONCompactEachRow", "RowBinary",
        "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "Native", "JSONStrings", "JSONCompactStrings", "JSONColumns", "JSONCompactColumns",
        "JSONColumnsWithMetadata", "JSONCompactEachRowWithNames", "JSONCompactEachRowWithNamesAndTypes", "JSONStringsEachRow",
        "JSONCompactStringsEachRow", "JSONCompactStringsEachRowWithNames", "JSONCompactStringsEachRowWithNamesAndTypes", "Markdown", "MsgPack"]
# Files are not the same byte for byte; what ClickHouse wrote must read as the same rows.
WRITTEN_ONLY = ["Markdown", "JSONStrings", "JSONCompactStrings"]
FILES = ["ArrowStream", "Parquet"]
PEOPLE = ["Pretty", "PrettyCompact", "PrettySpace", "Vertical", "PrettyNoEscapes", "PrettyCompactNoEscapes", "PrettySpaceNoEscapes",
          "PrettyMonoBlock", "PrettyCompactMonoBlock", "PrettySpaceMonoBlock", "PrettyNoEscapesMonoBlock",
          "PrettyCompactNoEscapesMonoBlock", "PrettySpaceNoEscapesMonoBlock"]


def quantity(query, form):
    return SESSION.query(query, form).bytes()


# name, columns, rows as VALUES, settings
OUTPUT = [
    ("integers", "a Int8, b Int16, c Int32, d Int64, e UInt8, f UInt16, g UInt32, h UInt64",
     "(-128,-32768,-2147483648,-9223372036854775808,255,65535,4294967295,18446744073709551615),(0,0,0,0,0,0,0,0),(127,32767,2147483647,9223372036854775807,1,2,3,4)", {}),
    ("floats", "a Float64, b Float32",
     "(0,0),(-0.0,-0.0),(0.1,0.1),(1e21,1e21),(1e20,1e20),(123456789012345678,16777217),(1e-6,1e-6),(1e-7,1e-7),(1.5e300,3.4e38),(5e-324,1e-45),(1.7976931348623157e308,3.4028235e38),(100,100),(1234.5678,1234.5678),(-1e16,-1e16),(0.000123,0.000123)", {}),
    ("denormals", "a Float64, b Float32, c Nullable(Float64)", "(nan,inf,nan),(-inf,nan,null),(inf,-inf,-inf)", {}),
    ("denormals quoted", "a Float64, b Float32", "(nan,inf),(-inf,1)", {"output_format_json_quote_denormals": "1"}),
    ("wide integers quoted", "a Int64, b UInt64, c Int32, d Array(Int64)", "(-5,7,9,[1,2])", {"output_format_json_quote_64bit_integers": "1"}),
    ("slashes plain", "a String", "('a/b')", {"output_format_json_escape_forward_slashes": "0"}),
    ("strings", "a String, b LowCardinality(String), c Nullable(String)",
     r"('','',''),('abc','x y',null),('tab\tnl\ncr\rbs\\q\'dq\"','NULL','\\N'),('\0\b\f\a\v\x1b\x7f','a,b','null'),('ü€😀日本','/slash','<a>&'),('\u2028','  lead','trail  ')", {}),
    ("nullables", "a Nullable(Int32), b Nullable(UInt64), c Nullable(Bool), d Nullable(Date), e Nullable(DateTime('UTC')), f Nullable(UUID), g LowCardinality(Nullable(String))",
     "(null,null,null,null,null,null,null),(1,2,true,'2024-01-02','2024-01-02 03:04:05','61f0c404-5cb3-11e7-907b-a6006ad3dba0','x')", {}),
    ("bools", "a Bool, b Array(Bool)", "(true,[true,false]),(false,[])", {}),
    ("dates", "a Date, b DateTime('UTC'), c DateTime('Europe/Berlin'), d DateTime",
     "('1970-01-01','1970-01-01 00:00:00','1970-01-01 01:00:00','1970-01-01 00:00:00'),('2024-02-29','2024-02-29 23:59:59','2024-07-01 12:00:00','2024-07-01 12:00:00'),('2149-06-06','2106-02-07 06:28:15','2024-03-31 03:00:00','2024-12-31 23:59:59')", {}),
    ("fine times", "a DateTime64(0,'UTC'), b DateTime64(3,'UTC'), c DateTime64(6,'UTC'), d DateTime64(9,'UTC'), e DateTime64(9,'America/New_York')",
     "('2024-01-02 03:04:05','2024-01-02 03:04:05.678','2024-01-02 03:04:05.678901','2024-01-02 03:04:05.678901234','2024-07-02 03:04:05.678901234'),('1969-12-31 23:59:59','1969-12-31 23:59:59.5','1950-01-01 00:00:00.000001','1900-01-01 00:00:00.000000001','2024-01-02 03:04:05'),('2024-01-02 03:04:05',0,0,0,0)", {}),
    ("odd precisions", "a DateTime64(1,'UTC'), b DateTime64(2,'UTC'), c DateTime64(4,'UTC'), d DateTime64(5,'UTC'), e DateTime64(7,'UTC'), f DateTime64(8,'UTC')",
     "('2024-01-02 03:04:05.6','2024-01-02 03:04:05.67','2024-01-02 03:04:05.6789','2024-01-02 03:04:05.67891','2024-01-02 03:04:05.6789012','2024-01-02 03:04:05.67890123')", {}),
    ("times as numbers", "a DateTime('UTC'), b DateTime64(9,'UTC'), c DateTime64(3,'UTC')",
     "('2024-01-02 03:04:05','2024-01-02 03:04:05.678901234','2024-01-02 03:04:05.6')", {"date_time_output_format": "unix_timestamp"}),
    ("times in ISO form", "a DateTime('UTC'), b DateTime64(9,'Europe/Berlin')",
     "('2024-01-02 03:04:05','2024-01-02 03:04:05.678901234')", {"date_time_output_format": "iso"}),
    ("decimals", "a Decimal(9,2), b Decimal(18,4), c Decimal(38,10), d Decimal(10,0), e Nullable(Decimal(18,9))",
     "(1.5,-0.0001,12345678901234567890.0123456789,5,null),(-9999999.99,99999999999999.9999,-0.5,-3,0.000000001),(0,0,0,0,100)", {}),
    ("uuids", "a UUID", "('61f0c404-5cb3-11e7-907b-a6006ad3dba0'),('00000000-0000-0000-0000-000000000000'),('ffffffff-ffff-ffff-ffff-fffffffffff0')", {}),
    ("arrays", "a Array(Int32), b Array(String), c Array(Nullable(Float64)), d Array(Array(UInt8)), e Array(DateTime64(3,'UTC'))",
     r"([],[],[],[],[]),([1,-2],['a','b\'c','d\te','f\\g','h\ni','j\"k'],[1.5,null,nan],[[1],[],[2,3]],['2024-01-02 03:04:05.678'])", {}),
    ("maps and tuples", "a Map(String,Int32), b Tuple(Int32,String), c Map(Int32,Array(String)), d Tuple(UInt8,Tuple(String,Nullable(Int8)))",
     r"({},(0,''),{},(0,('',null))),({'k':1,'l\'':2},(5,'q\'\"'),{1:['x','y']},(1,('z',2)))", {}),
    ("nested", "a Array(Tuple(UInt8,String)), b Map(String,Map(String,UInt8)), c Array(Map(String,UInt8)), d Map(Date,Float64)",
     "([(1,'a'),(2,'b')],{'a':{'b':1}},[{'x':1},{}],{'2020-01-01':1.5}),([],{},[],{})", {}),
    ("odd names", "`a b` Int32, `c\"d` String, `e'f` Int8, `g\\th` Int8, `日本` Int8", "(1,'x',2,3,4)", {}),
    ("no rows", "a Int32, b String", "", {}),
    ("one column", "x String", "('only')", {}),
    ("few symbols", "a LowCardinality(String), b LowCardinality(Nullable(String)), c Array(LowCardinality(String)), d Array(LowCardinality(Nullable(String)))",
     "('b','b',['x','y','x'],[NULL,'x']),('a',NULL,[],[]),('','',[''],['',NULL]),('b','a',['x'],['x']),('c','b',[],[NULL])", {}),
    ("no symbols", "a LowCardinality(String), b LowCardinality(Nullable(String)), c Array(LowCardinality(String))", "('',NULL,[]),('',NULL,[])", {}),
    ("255 symbols", "a LowCardinality(String)", ",".join(f"('s{i}')" for i in range(254)), {}),
    ("256 symbols", "a LowCardinality(String), b LowCardinality(Nullable(String))", ",".join(f"('s{i}',{'NULL' if i % 7 == 0 else repr(f't{i}')})" for i in range(255)), {}),
    ("long symbols", "a LowCardinality(String)", ",".join(f"('{'word of many letters ' * (i % 3)}{i % 5}')" for i in range(40)), {}),
    ("zones", "a DateTime('America/New_York'), b DateTime('Asia/Kolkata'), c DateTime64(3,'Europe/Berlin'), d DateTime64(6,'Asia/Tokyo'), e Nullable(DateTime64(9,'Australia/Lord_Howe'))",
     "('2024-03-10 01:59:59','2024-03-10 01:59:59','2024-03-31 01:59:59.999','2024-01-01 00:00:00.000001',NULL),('2024-11-03 00:30:00','1970-01-02 00:00:00','2024-10-27 03:00:00.5','1969-12-31 23:59:59.999999','2024-04-07 01:15:00.123456789')", {}),
    ("session zone", "a DateTime, b DateTime64(3), c DateTime('UTC')", "('2024-07-01 12:00:00','2024-07-01 12:00:00.25','2024-07-01 12:00:00')", {"session_timezone": "Asia/Tokyo"}),
    ("time limits", "a DateTime64(9,'UTC'), b DateTime64(3,'UTC'), c DateTime64(0,'UTC')",
     "('2262-04-11 23:47:16.854775807','2299-12-31 23:59:59.999','2299-12-31 23:59:59'),('1900-01-01 00:00:00','1900-01-01 00:00:00.001','1900-01-01 00:00:00'),('1969-12-31 23:59:59.999999999','1969-12-31 23:59:59.999','1969-12-31 23:59:59')", {}),
    ("decimal limits", "a Decimal(9,0), b Decimal(9,9), c Decimal(18,18), d Decimal(38,0), e Decimal(38,38), f Array(Decimal(18,2)), g Nullable(Decimal(38,5))",
     "(999999999,0.999999999,0.999999999999999999,99999999999999999999999999999999999999,0.1,[1.5,-1.5,0],NULL),(-999999999,-0.000000001,-0.000000000000000001,-99999999999999999999999999999999999999,-0.00000000000000000000000000000000000001,[],-1.23456)", {}),
    ("nullable lists", "a Array(Nullable(String)), b Array(Nullable(Int64)), c Array(Array(Nullable(UInt8))), d Map(String,Nullable(Float64)), e Array(Nullable(DateTime('UTC')))",
     "(['x',NULL,''],[NULL,-1],[[NULL],[],[1,NULL]],{'k':NULL,'l':1.5},[NULL,'2024-01-02 03:04:05']),([],[],[],{},[]),([NULL],[NULL],[[]],{'':NULL},[NULL])", {}),
    ("lists of all", "a Array(Int8), b Array(UInt16), c Array(UInt64), d Array(Float32), e Array(Bool), f Array(Date), g Array(UUID), h Array(Decimal(9,2)), i Array(DateTime64(6,'Asia/Tokyo')), j Array(Float64)",
     "([-128,127],[65535],[18446744073709551615],[0.1,nan],[true,false],['2024-01-02'],['61f0c404-5cb3-11e7-907b-a6006ad3dba0'],[1.5,-0.01],['2024-01-02 03:04:05.678901'],[inf,-inf,-0.0,1e300])", {}),
    ("escapes everywhere", "a String, b Array(String), c Map(String,String), d Tuple(String,String), e LowCardinality(String)",
     r"""('|pipe|*_`#[](){}<b>&amp;</b>',['|','\\','\'','"','\t'],{'a|b':'c\nd','e\\':'\''},('|','\n'),'x|y'),('\\\\\'\'""',['\\\\'],{'"':'"'},('\'','"'),'\\'),('%s \r\n\r\n\t\t',[''],{'':''},('',''),'')""", {}),
    ("unicode", "a String, b LowCardinality(String), c Array(String)", "('ß€𝄞','日本語',['é','🇩🇪']),('​́a','ￏ',['﻿']),('ᴺᵁᴸᴸ','NULL',['null'])", {}),
    ("quoted like numbers", "a String, b String, c Nullable(String)", "('1','1.5','1e5'),('true','nan','inf'),('2024-01-02','{}','[]')", {}),
    ("long text", "a String", "('" + "x" * 127 + "'),('" + "y" * 128 + "'),('" + "z" * 300 + "'),('" + "w" * 2000 + "')", {}),
    ("hundred columns", ", ".join(f"c{i} Int32" for i in range(100)), "(" + ",".join(str(i * i) for i in range(100)) + "),(" + ",".join(str(-i) for i in range(100)) + ")", {}),
    ("many rows", "a UInt32, b Nullable(Int16), c String", ",".join(f"({i * 7919},{'NULL' if i % 3 == 0 else i - 250},'v{i}')" for i in range(500)), {}),
    ("large integers", "a Int64, b UInt64, c Int32, d Int16", "(9007199254740993,9007199254740993,-129,-129),(-9007199254740993,4294967296,-32769,255),(4294967295,65536,65535,256),(-2147483649,65535,-33,-33)", {}),
    ("all NULL", "a Nullable(Int8), b Nullable(Float32), c Nullable(String), d Nullable(Date), e Nullable(Decimal(9,2))", "(NULL,NULL,NULL,NULL,NULL),(NULL,NULL,NULL,NULL,NULL)", {}),
    ("no rows of many types", "a Nullable(Int8), b LowCardinality(String), c Array(LowCardinality(String)), d Map(String,Int8), e DateTime('UTC'), f Tuple(Int8,String)", "", {}),
    ("strings quoted", "a Int64, b Float64, c Array(Int64)", "(5,nan,[1])", {"output_format_json_quote_64bit_integers": "1", "output_format_json_quote_denormals": "1", "output_format_json_escape_forward_slashes": "0"}),
    ("other words", "a Bool, n Nullable(Int8), d Decimal(9,3), l Array(Nullable(Bool)), t Tuple(Bool,Nullable(Int8))", "(true,NULL,1.5,[true,NULL],(false,NULL)),(false,3,2,[],(true,1))",
     {"bool_true_representation": "Y", "bool_false_representation": "N", "format_csv_null_representation": "NA", "format_tsv_null_representation": "NIX", "output_format_decimal_trailing_zeros": "1"}),
    ("line ends", "a Int32, b String", "(1,'x'),(2,'y')", {"output_format_csv_crlf_end_of_line": "1", "output_format_tsv_crlf_end_of_line": "1"}),
    ("csv delimiter", "a Int32, b String", "(1,'x;y,z')", {"format_csv_delimiter": ";"}),
]

# Results longer than output_format_pretty_max_rows are left out: ClickHouse shows their first and last rows, this
# project the first ones only, because it does not hold results.
PEOPLE_OUTPUT = [
    ("plain", "a Int32, b String, c Nullable(Float64)", "(1,'x',1.5),(22,'longer',null),(333,'ü€日本',-0.25)", {}),
    ("lone large number", "a Int64", "(1234567)", {}),
    ("lone limit", "a Int64", "(1000000)", {}),
    ("lone float", "a Float64", "(1234567.891)", {}),
    ("lone negative", "a Int64", "(-98765432109)", {}),
    ("two large", "a Int64, b Int64", "(12345678,1)", {}),
    ("times", "a DateTime64(9,'UTC'), b Date, c UUID, d Bool", "('2024-01-02 03:04:05.678901234','2024-01-02','61f0c404-5cb3-11e7-907b-a6006ad3dba0',true)", {}),
    ("no rows", "a Int32", "", {}),
    ("twelve rows", "a Int32, s String", ",".join(f"({i},'v{i}')" for i in range(12)), {}),
    ("sixty rows", "a Int32, s String", ",".join(f"({i},'v{i}')" for i in range(60)), {}),
    ("49 rows", "a Int32", ",".join(f"({i})" for i in range(49)), {}),
    ("50 rows", "a Int32", ",".join(f"({i})" for i in range(50)), {}),
    ("no numbers", "a Int32, b String", "(1,'x'),(2,'y')", {"output_format_pretty_row_numbers": "0"}),
    ("line end", "a String, b Int32", "('one\\ntwo',2),('x',3)", {}),
    ("wide short", "a Int32, b Int32, c Int32, d Int32, e Int32, f String", "(1,2,3,4,5,'" + "x" * 260 + "'),(1,2,3,4,5,'y')", {}),
    ("wide few columns", "a Int32, f String", "(1,'" + "x" * 260 + "')", {}),
    ("arrays", "a Array(Int32), b Map(String,Int32), c Tuple(Int32,String)", "([1,2],{'k':1},(1,'x'))", {}),
    ("long name", "a_very_long_column_name Int8, another String", "(1,'x')", {}),
    ("denormals", "a Float64, b Float64", "(nan,inf),(-inf,1e300)", {}),
    ("large in record", "a Float64, b Int32, c UInt64, d Decimal(18,4), n Nullable(Int64)", "(12345678.5,12345678,12345678901234567890,12345678901234.5678,null)", {}),
]

T = "a UInt8, s String"
TIME = "t DateTime64(9,'UTC')"
SECOND = "t DateTime('UTC')"
WRAP = "a number that does not fit is refused, not wrapped"
RANGE = "a time out of range is 321, which HTTP answers with 400"
STRICT = "no such time of day"
ONE_CODE = "text that is no number has one code in all formats"
TICKS = "a bare number too large for seconds is ticks, as in text"
# columns, format, data, settings, ours
INPUT = [
    # VALUES
    (T, "Values", "(1,'x'),(2,'y')"), (T, "Values", "(1,'x') (2,'y')"), (T, "Values", " ( 1 , 'x' ) ,\n(2,'y');"),
    (T, "Values", "(1,'it''s')"), (T, "Values", r"(1,'a\tb\nc\\d\'e\x41\q\0')"), (T, "Values", "(300,'x')", {}, {"code": 321, "why": WRAP}),
    (T, "Values", "(-1,'x')", {}, {"code": 321, "why": WRAP}), (T, "Values", "('12','x')"), (T, "Values", "(1)"), (T, "Values", "(1,'a','b')"),
    (T, "Values", "(1,'a') x"), (T, "Values", "(1,'a'"), (T, "Values", "(1,'a"), (T, "Values", ""), (T, "Values", "(NULL,NULL)"), (T, "Values", "(true,'x')"),
    (T, "Values", "(1,'a',)"), (T, "Values", "(+1,'a')"), ("a Nullable(Int32)", "Values", "(NULL),(1),(null)"),
    ("a Float64", "Values", "(1.5),(1e5),(-0.0),(nan),(inf),(-inf),(.5),(5.),('1.5')"), ("a Bool", "Values", "(true),(false),(1),(0),('true')"),
    ("a Array(Int32)", "Values", "([1,2]),([]),([ 1 , 2 ])"), ("a Array(Nullable(String))", "Values", "(['a',NULL])"), ("a Map(String,Int32)", "Values", "({'k':1}),({})"),
    ("a Tuple(Int32,String)", "Values", "((1,'x'))"), ("a UUID", "Values", "('61f0c404-5cb3-11e7-907b-a6006ad3dba0'),('61f0c4045cb311e7907ba6006ad3dba0')"),
    ("a Decimal(9,2)", "Values", "(1.234),(-5),('7.1'),(1e2)"), ("a Date", "Values", "('2024-01-02'),(19724)"),
    (TIME, "Values", "(1704187800),(1704187800.25),('2024-01-02 03:04:05'),('2024-01-02T03:04:05.5Z'),('2024-01-02 03:04:05+01:00'),('1704187800123456789')"),
    (TIME, "Values", "(1704187800123456789)", {}, {"rows": "2024-01-02 09:30:00.123456789\n", "why": TICKS}),
    # TabSeparated
    (T, "TabSeparated", "1\tx\n2\ty\n"), (T, "TabSeparated", "1\tx"), (T, "TabSeparated", "1\ta\\tb\\nc\\\\d\\'e\\x41\\q\\0\\\nf\\\tg\n"), (T, "TabSeparated", "1\n"),
    (T, "TabSeparated", "1\tx\ty\n"), (T, "TabSeparated", "12x\tx\n"), (T, "TabSeparated", "\\N\t\\N\n"), (T, "TabSeparated", "300\tx\n", {}, {"code": 321, "why": WRAP}),
    (T, "TabSeparated", "-1\tx\n", {}, {"code": 321, "why": WRAP}), (T, "TabSeparated", "1.5\tx\n"), (T, "TabSeparated", "\tx\n"), (T, "TabSeparated", "1\t\n"),
    (T, "TabSeparated", "1\tx\r\n"), (T, "TabSeparated", ""), ("a Nullable(Int32), s Nullable(String)", "TabSeparated", "\\N\t\\N\n1\tNULL\n"),
    (T, "TabSeparated", "\\N\t\\N\n", {"input_format_null_as_default": "0"}, {"code": 349, "why": "NULL is refused by its own code, not by a garbled number"}),
    ("a Float64", "TabSeparated", "1.5\n1e5\n-0\nnan\ninf\n-inf\n.5\n5.\n"), ("a Bool", "TabSeparated", "true\nfalse\n1\n0\nyes\nno\nON\noff\nt\nF\n"), ("a Bool", "TabSeparated", "maybe\n"),
    ("a Array(String)", "TabSeparated", "['a','b\\'c']\n[]\n"), ("a Map(String,Int32)", "TabSeparated", "{'k':1}\n"), ("a Array(Int32)", "TabSeparated", "[1,2\n"),
    ("a UUID", "TabSeparated", "61f0c404-5cb3-11e7-907b-a6006ad3dba0\n"), ("a UUID", "TabSeparated", "zzz\n"), ("a Decimal(9,2)", "TabSeparated", "1.234\n-5\n1e2\n"),
    ("a Decimal(9,2)", "TabSeparated", "12345678\n"), ("a Date", "TabSeparated", "2024-01-02\n2024-1-2\n20240102\n"), ("a Date", "TabSeparated", "x\n"),
    (T, "TabSeparatedRaw", "1\ta\\tb\n"), (T, "TabSeparatedWithNames", "s\ta\nx\t1\n"), (T, "TabSeparatedWithNames", "s\tzz\ta\nx\t9\t1\n"), (T, "TabSeparatedWithNames", "s\nx\n"),
    (T, "TabSeparatedWithNames", "s\tzz\nx\t9\n", {"input_format_skip_unknown_fields": "0"}), (T, "TabSeparatedWithNamesAndTypes", "s\ta\nString\tUInt8\nx\t1\n"),
    (T, "TabSeparatedWithNamesAndTypes", "s\ta\nString\tUInt16\nx\t1\n"), (T, "TabSeparatedWithNames", "a\ta\n1\t2\n"),
    # CSV
    (T, "CSV", "1,x\n2,\"y \"\"q\"\" , z\"\n"), (T, "CSV", " 3 , 'sq'\n"), (T, "CSV", "4, \" dq \"  \n"), (T, "CSV", ",\n5,\n"), (T, "CSV", "\\N,\\N\n"), (T, "CSV", "1,x,y\n"),
    (T, "CSV", "1\n"), (T, "CSV", "1,x,\n"), (T, "CSV", "1,\"a\nb\"\n2,a\"b\n"), (T, "CSV", "\"6\",\"x\"\r\n7,y\r\n"), (T, "CSV", "1,\"a", {}, {"code": 26, "why": "a value cut short is refused"}), (T, "CSV", "1,x"), (T, "CSV", "1,  x  \n"),
    (T, "CSVWithNames", "s,a\nx,1\n"), (T, "CSVWithNames", "\"s\",\"zz\",\"a\"\nx,9,1\n"), (T, "CSVWithNamesAndTypes", "s,a\nString,UInt8\nx,1\n"), (T, "CSV", "1;x,y\n", {"format_csv_delimiter": ";"}),
    ("a Nullable(Int32), s Nullable(String)", "CSV", "\\N,\\N\n,\n1,NULL\n"), ("a Array(Int32), s String", "CSV", "\"[1,2]\",x\n"), ("a Float64", "CSV", "1.5\n\"2.5\"\nnan\n"),
    # JSONEachRow
    (T, "JSONEachRow", '{"a":1,"s":"x"}\n{"s":"y","a":2}\n'), (T, "JSONEachRow", '{"a":1,"s":"x"},{"a":2}'), (T, "JSONEachRow", '[{"a":1},{"a":2}]'), (T, "JSONEachRow", '{"a":1}{"a":2}'),
    (T, "JSONEachRow", '{"a":"12","s":15}'), (T, "JSONEachRow", '{"a":true,"s":true}'), (T, "JSONEachRow", '{"a":null,"s":null}'), (T, "JSONEachRow", '{"a":1,"s":[1, "2"]}'),
    (T, "JSONEachRow", '{"a":1,"s":{"k": 1}}'), (T, "JSONEachRow", '{"a":1,"zz":{"k": [1,2,"]"]}}'), (T, "JSONEachRow", '{"a":1,"zz":2}', {"input_format_skip_unknown_fields": "0"}),
    (T, "JSONEachRow", '{"a":1,"a":2}'), (T, "JSONEachRow", '{"a":1,"s":"\\u00e9\\ud83d\\ude00\\/\\b\\n\\t\\"\\\\"}'), (T, "JSONEachRow", '{"a":1,"s":"\\ud83d"}'), (T, "JSONEachRow", '{"a":1,"s":"a" "x":1}'),
    (T, "JSONEachRow", '{"a":1,}'), (T, "JSONEachRow", '{a:1}'), (T, "JSONEachRow", '{"a":1} garbage'), (T, "JSONEachRow", '{"a":1'), (T, "JSONEachRow", '{"a":300}', {}, {"code": 321, "why": WRAP}),
    (T, "JSONEachRow", '{"a":1.5}'), (T, "JSONEachRow", '{ "a" : 1 , "s" : "x" }'), (T, "JSONEachRow", '{}'), (T, "JSONEachRow", ''), (T, "JSONEachRow", '{"a":1};'), (T, "JSONEachRow", '\n\n{"a":1}\n\n'),
    ("a Nullable(Int32)", "JSONEachRow", '{"a":null}{"a":5}'), ("a Float64", "JSONEachRow", '{"a":1.5}{"a":1e5}{"a":"2.5"}{"a":-0}{"a":7}'), ("a Bool", "JSONEachRow", '{"a":true}{"a":false}{"a":1}{"a":0}'),
    ("a Array(Int32)", "JSONEachRow", '{"a":[1,2]}{"a":[]}{"a":[ 1 , 2 ]}'), ("a Map(String,Int32)", "JSONEachRow", '{"a":{"k":1,"l":2}}{"a":{}}'), ("a Tuple(Int32,String)", "JSONEachRow", '{"a":[1,"x"]}'),
    ("a Array(Nullable(String))", "JSONEachRow", '{"a":["x",null]}'), ("a UUID", "JSONEachRow", '{"a":"61f0c404-5cb3-11e7-907b-a6006ad3dba0"}'), ("a Decimal(9,2)", "JSONEachRow", '{"a":1.5}{"a":"2.25"}{"a":3}'),
    ("a Date", "JSONEachRow", '{"a":"2024-01-02"}'), (TIME, "JSONEachRow", '{"t":1704187800}{"t":1704187800.5}{"t":"2024-01-02T03:04:05Z"}'),
    (T, "JSONCompactEachRow", '[1,"x"]\n[2, "y"],\n[3,"z"] [4,"zz"]'), (T, "JSONCompactEachRow", '[1]'), (T, "JSONCompactEachRow", '[1,"x",2]'), (T, "JSONCompactEachRow", '[null,null]'),
    (T, "JSON", '{"meta":[{"name":"s","type":"String"},{"name":"a","type":"UInt8"}],"data":[{"s":"x","a":70},{"a":71}],"rows":2}', {}),
    # JSON with lines of names, and as strings
    (T, "JSONCompactEachRowWithNames", '["s","a"]\n["x",1]\n["y",2]'), (T, "JSONCompactEachRowWithNames", '["s","zz","a"]\n["x",{"k":[1]},1]'), (T, "JSONCompactEachRowWithNames", '["s"]\n["x"]'), (T, "JSONCompactEachRowWithNames", '["a","a"]\n[1,2]'),
    (T, "JSONCompactEachRowWithNames", '["s","zz"]\n["x",1]', {"input_format_skip_unknown_fields": "0"}), (T, "JSONCompactEachRowWithNamesAndTypes", '["s","a"]\n["String","UInt8"]\n["x",1]'), (T, "JSONCompactEachRowWithNamesAndTypes", '["s","a"]\n["String","UInt16"]\n["x",1]'),
    (T, "JSONCompactEachRowWithNames", '["a","s"]\n[1]'), (T, "JSONCompactEachRowWithNames", '["a","s"]\n[1,"x",2]'), (T, "JSONCompactEachRowWithNames", '["a","s"]'), (T, "JSONCompactEachRowWithNames", ''),
    (T, "JSONStringsEachRow", '{"a":"1","s":"x"}\n{"s":"y","a":"2"}'), (T, "JSONStringsEachRow", '{"a":"1","s":"\\u00e9\\n\\""}'), (T, "JSONStringsEachRow", '{"a":"1x"}', {}, {"code": 27, "why": ONE_CODE}), (T, "JSONStringsEachRow", '{"a":1}'), (T, "JSONStringsEachRow", '{"a":"","s":""}', {}, {"code": 27, "why": ONE_CODE}),
    (T, "JSONStringsEachRow", '{"a":"NULL","s":"NULL"}'), (T, "JSONStringsEachRow", '{"zz":{"k":1},"a":"7"}'), ("a Nullable(Int32), s Nullable(String)", "JSONStringsEachRow", '{"a":"NULL","s":"NULL"}{"a":"ᴺᵁᴸᴸ","s":"ᴺᵁᴸᴸ"}{"a":"5","s":"null"}'),
    ("a Nullable(Int32)", "JSONStringsEachRow", '{"a":"\\\\N"}', {}, {"code": 27, "why": ONE_CODE}), ("a Array(Int32), b Map(String,Int32), c Tuple(Int32,String)", "JSONStringsEachRow", '{"a":"[1,2]","b":"{\'k\':1}","c":"(1,\'x\')"}'),
    ("a Float64, b Bool, c Date, d Decimal(9,2), e UUID", "JSONStringsEachRow", '{"a":"nan","b":"true","c":"2024-01-02","d":"1.25","e":"61f0c404-5cb3-11e7-907b-a6006ad3dba0"}'), (TIME, "JSONStringsEachRow", '{"t":"2024-01-02 03:04:05.5"}{"t":"1704187800"}'),
    (T, "JSONCompactStringsEachRow", '["1","x"]\n["2","y"]'), (T, "JSONCompactStringsEachRow", '["1"]'), (T, "JSONCompactStringsEachRowWithNames", '["s","a"]\n["x","1"]'), (T, "JSONCompactStringsEachRowWithNamesAndTypes", '["s","a"]\n["String","UInt8"]\n["x","1"]'),
    # JSON by columns
    (T, "JSONColumns", '{"a":[1,2],"s":["x","y"]}'), (T, "JSONColumns", '{"s":["x"],"a":[1]}'), (T, "JSONColumns", ' { "a" : [ 1 , 2 ] } '), (T, "JSONColumns", '{"a":[1,2],"s":["x"]}'), (T, "JSONColumns", '{"zz":[[1],{}],"a":[1,2]}'),
    (T, "JSONColumns", '{"zz":[1],"a":[1]}', {"input_format_skip_unknown_fields": "0"}), (T, "JSONColumns", '{"a":[],"s":[]}'), (T, "JSONColumns", '{}'), (T, "JSONColumns", '{"a":[null],"s":[null]}'), (T, "JSONColumns", '{"a":[1],"a":[2]}'), (T, "JSONColumns", '{"a":[1'),
    (T, "JSONColumns", '{"a":1}'), (T, "JSONColumns", ''), ("a Array(Int32), b Nullable(String)", "JSONColumns", '{"a":[[1,2],[]],"b":["x",null]}'), (T, "JSONCompactColumns", '[[1,2],["x","y"]]'), (T, "JSONCompactColumns", '[[1,2]]'), (T, "JSONCompactColumns", '[[1],["x"],[3]]'),
    (T, "JSONCompactColumns", '[]'), (T, "JSONCompactColumns", '[[1,2],["x"]]'), (T, "JSONColumnsWithMetadata", '{"meta":[{"name":"a","type":"UInt8"},{"name":"s","type":"String"}],"data":{"a":[1,2],"s":["x","y"]},"rows":2}'),
    # MsgPack
    (T, "MsgPack", b"\x05\xa1x\x06\xc4\x01y"), (T, "MsgPack", b"\x05"), (T, "MsgPack", b"\x05\xa5x"), ("a UInt8", "MsgPack", b"\xcd\x01\x2c", {}, {"code": 321, "why": WRAP}), ("a UInt8", "MsgPack", b"\xff", {}, {"code": 321, "why": WRAP}),
    ("a UInt8", "MsgPack", b"\xc0"), ("a Nullable(Int32)", "MsgPack", b"\xc0\x05\xd1\xff\x00"), ("a Float64", "MsgPack", b"\xcb\x3f\xf8\0\0\0\0\0\0"), ("a Float32", "MsgPack", b"\xca\x3f\xc0\0\0"), ("a Bool", "MsgPack", b"\xc3\xc2\x01\x00"),
    ("a Array(UInt8)", "MsgPack", b"\x92\x01\x02\x90"), ("a Array(Nullable(Int32))", "MsgPack", b"\x92\xc0\x02"), ("a Map(String,UInt8)", "MsgPack", b"\x81\xa1k\x02\x80"), ("a Tuple(UInt8,String)", "MsgPack", b"\x92\x01\xa1x"), ("a Date", "MsgPack", b"\xcd\x4d\x0c"),
    ("a DateTime('UTC')", "MsgPack", b"\xce\x65\x92\x80\x00"), ("a DateTime64(3,'UTC')", "MsgPack", b"\xcf" + (1704187800123).to_bytes(8, "big")), ("a DateTime64(9,'UTC')", "MsgPack", b"\x05"), ("a DateTime64(3,'UTC')", "MsgPack", b"\xcf" + (2**64 - 5).to_bytes(8, "big")),
    ("a UUID", "MsgPack", b"\xd8\x02" + bytes(range(16))), ("a UUID", "MsgPack", b"\xc4\x10" + bytes(range(16))), ("a UUID", "MsgPack", b"\xd9\x2461f0c404-5cb3-11e7-907b-a6006ad3dba0"), ("a Decimal(9,2)", "MsgPack", b"\xcc\x96\xf0"), ("a Decimal(18,2)", "MsgPack", b"\xcc\x96"),
    ("a Decimal(38,2)", "MsgPack", b"\xc4\x10" + (-150).to_bytes(16, "little", signed=True)), ("a LowCardinality(String)", "MsgPack", b"\xa1x\xc4\x01y"), ("a UInt8", "MsgPack", b"\xc1"), ("a UInt8", "MsgPack", b""),
    ("a Float64", "MsgPack", b"\x05", {}, {"rows": "5\n", "why": "numbers of another kind are taken when they fit"}), ("a UInt8", "MsgPack", b"\xa15", {}, {"rows": "5\n", "why": "text is parsed"}),
    # RowBinary
    (T, "RowBinary", b"\x01\x01x\x02\x00"), (T, "RowBinary", b"\x01"), (T, "RowBinary", b"\x01\x05ab"), (T, "RowBinary", b""),
    ("a Nullable(Int32)", "RowBinary", b"\x01\x00\x05\x00\x00\x00"), ("a Array(UInt8)", "RowBinary", b"\x02\x01\x02\x00"), ("a Map(String,UInt8)", "RowBinary", b"\x01\x01k\x05"),
    ("a DateTime64(9,'UTC')", "RowBinary", (1704187800123456789).to_bytes(8, "little")), ("a DateTime('UTC')", "RowBinary", (1704187800).to_bytes(4, "little")), ("a Date", "RowBinary", (19724).to_bytes(2, "little")),
    ("a UUID", "RowBinary", bytes(range(16))), ("a Decimal(9,2)", "RowBinary", (-150).to_bytes(4, "little", signed=True)), ("a Decimal(18,2)", "RowBinary", (-150).to_bytes(8, "little", signed=True)),
    ("a Decimal(38,2)", "RowBinary", (-150).to_bytes(16, "little", signed=True)), ("a Bool", "RowBinary", b"\x01\x00"), ("a LowCardinality(String)", "RowBinary", b"\x02hi"), ("a Float64", "RowBinary", b"\0\0\0\0\0\0\xf8?"),
    (T, "RowBinaryWithNames", b"\x02\x01s\x01a\x01x\x07"), (T, "RowBinaryWithNamesAndTypes", b"\x02\x01s\x01a\x06String\x05UInt8\x01x\x07"), (T, "RowBinaryWithNamesAndTypes", b"\x02\x01s\x01a\x06String\x06UInt16\x01x\x07\x00"),
    (T, "RowBinaryWithNamesAndTypes", b"\x02\x01z\x01a\x06String\x05UInt8\x01x\x07"), (T, "RowBinary", b"\x01\xff\xff\xff\xff\xff\xff\xff\xff\x7fab", {}, {"code": 131, "why": "the same code for every length that is too large"}),
]
for value in ["20240102", "1704187800", "170418780", "1704187800123", "1704187800123456", "1704187800123456789", "20240102030405", "1704187800.5", "2024-01-02 03:04:05", "2024-01-02 03:04:05.6789", "2024-01-02T03:04:05",
              "2024-01-02T03:04:05Z", "2024-01-02T03:04:05.123456789Z", "2024-01-02 03:04:05+01:00", "2024-01-02 03:04:05-0530", "2024-01-02 03:04:05 UTC", "2024-01-02", "2024-01-02 03:04", "2024-1-2 3:4:5", "2024/01/02 03:04:05",
              "1960-01-02 03:04:05", "abc", "2024-13-01 00:00:00", "2024-02-30 00:00:00", "17041878001"]:
    for columns in [TIME, SECOND]:
        if value == "1960-01-02 03:04:05" and columns == SECOND:
            INPUT.append((columns, "TabSeparated", value + "\n", {}, {"rows": value + "\n", "why": "DateTime is not limited to 32 bits"}))
        else:
            INPUT.append((columns, "TabSeparated", value + "\n"))
for value in ["2024-01-02 03:04:05 MSK", "2024-01-02 03:04:05 EST", "2024-01-02 3:04 PM", "2024-01-02 12:04:05 AM", "02/01/2024 03:04:05", "1/2/2024", "02.01.2024", "2.1.2024 3:4:5", "02-01-2024 03:04:05", "2 Jan 2024", "Jan 2 2024",
              "Jan 2, 2024", "2 January 2024 03:04:05", "Tue, 02 Jan 2024 03:04:05 GMT", "Tue Jan  2 03:04:05 2024", "02 Jan 2024 03:04:05 +0000", "Tuesday, 02-Jan-24 03:04:05 UTC", "20240102T030405", "20240102T030405Z",
              "20240102 030405", "20240102 03:04:05", "2024-01-02 030405", "2024-01-02 03:04:05+1:30", " 2024-01-02 03:04:05", "2024-01-02 03:04:05 ", "2024-01-02  03:04:05", "2024-01-02 13:04:05 PM", "2-Jan-2024", "2024 Jan 02",
              "Jan 2 03:04:05 2024", "2024-01-02T03:04:05.5 PST", "2 Jan 1999 11:59 pm +0530", "31 Apr 2024", "2 Jann 2024", "Jan 2024 x"]:
    for columns in [TIME, SECOND]:
        INPUT.append((columns, "TabSeparated", value + "\n"))
INPUT += [(TIME, "TabSeparated", value + "\n") for value in ["20240102030405.123", "20240102T030405.25Z"]]
INPUT += [("a Date", form, data) for form, data in [("TabSeparated", "2024\n"), ("CSV", "19724\n"), ("JSONEachRow", '{"a":19724}'), ("JSONEachRow", '{"a":"19724"}'), ("Values", "('19724')")]]
for value in ["1600-01-01 00:00:00", "2300-01-01 00:00:00"]:
    INPUT.append((TIME, "TabSeparated", value + "\n", {}, {"code": 321, "why": RANGE}))
INPUT.append((TIME, "TabSeparated", "2024-01-02 25:00:00\n", {}, {"code": 41, "why": STRICT}))
for value in ["1704187800", "1704187800.25", "170418", "-5", "1704187800123456789", "2024-01-02 03:04:05", "2024-01-02", "2024-01-02T03:04:05.5"]:
    INPUT.append((TIME, "TabSeparated", value + "\n", {"date_time_input_format": "basic"}))

# Headers that no name of a format tells of, names in other letters, byte order marks, wrong rows, other words.
MARK = b"\xef\xbb\xbf"
TUPLE = "t Tuple(UInt8,String), b UInt8 DEFAULT 3"
TWO = "a String, s String"
MAYBE = "a Nullable(UInt8), s Nullable(String), l LowCardinality(Nullable(String))"
for form, comma in [("CSV", ","), ("TabSeparated", "\t")]:
    for columns, *lines in [
        (T, "a,s", "1,x"), (T, "s,a", "x,1"), (T, "S,A", "x,1"), (T, "a,zz", "1,x"), (T, "b,s", "1,x"), (T, "a,s", "UInt8,String", "1,x"), (T, "s,a", "String,UInt8", "x,1"),
        (T, "s,a", "String,UInt16", "x,1"), (T, "a", "1"), (T, "a,s,q", "1,x,z"), (T, "a,s"), (TWO, "a,s", "1,x"), (TWO, "a,x", "1,x"), (TWO, "s,a", "1,x"), (TWO, "String,String", "1,x"),
        (TWO, "A,S", "1,x"), (TWO, "a,a", "1,x"), ("a String", "a", "x"), ("a UInt8, d String DEFAULT 'dd'", "a", "1")]:
        INPUT.append((columns, form, "".join(line.replace(",", comma) + "\n" for line in lines)))
    named = lambda text: text.replace(",", comma)
    names, types = form + "WithNames", form + "WithNamesAndTypes"
    INPUT += [
        (TWO, form, named("a,s\n1,x\n"), {f"input_format_{'csv' if form == 'CSV' else 'tsv'}_detect_header": "0"}), (T, names, named("A,S\n1,x\n")), ("a UInt8, A UInt8", names, named("A,a\n1,2\n")),
        (T, names, named("s,a\nx,1\n"), {"input_format_with_names_use_header": "0"}), (T, names, named("q,a\n1,x\n"), {"input_format_with_names_use_header": "0"}),
        (T, types, named("a,s\nUInt16,String\n1,x\n"), {"input_format_with_types_use_header": "0"}), (T, form, MARK + named("1,x\n").encode()), (T, form, MARK + named("a,s\n1,x\n").encode()),
        (T, names, MARK + named("a,s\n1,x\n").encode()), ("s String, a UInt8", form, MARK + named("x,1\n").encode()),
    ]
INPUT += [(T, form, MARK + data) for form, data in [("JSONEachRow", b'{"a":1}'), ("JSONCompactEachRow", b'[1,"x"]'), ("Values", b"(1,'x')"), ("JSON", b'{"meta":[{"name":"a","type":"UInt8"}],"data":[{"a":1}]}'), ("RowBinary", b"\x01x" * 60)]]
for mode in ["auto", "ignore_case", "match_case"]:
    for form, data in [("JSONEachRow", '{"Ab":1}'), ("JSONEachRow", '{"AB":1}'), ("CSVWithNames", "Ab\n1\n"), ("CSVWithNames", "AB\n1\n"), ("JSONColumns", '{"ab":[1]}')]:
        INPUT += [(columns, form, data, {"input_format_column_name_matching_mode": mode}) for columns in ["ab UInt8, AB UInt8", "ab UInt8, z UInt8"]]
for data in ["1,x,5\n", "\"(1,'x')\",5\n", "1,,5\n", ",,5\n", ",5\n", "\\N,\\N,5\n", "\\N,x,5\n", "\\N,5\n", "1,x,\n", " 1 , \"x\" , 5\n", "1,x\n"]:
    INPUT.append((TUPLE, "CSV", data))
INPUT += [("b UInt8, t Tuple(UInt8,Tuple(Nullable(String),Date))", "CSV", "1,2,\\N,2024-01-02\n"), ("b UInt8, t Tuple(UInt8,String)", "CSV", "b,t\n1,2,x\n"), ("b UInt8, t Tuple(UInt8,String)", "CSVWithNames", "t,b\n1,x,5\n"),
          ("b UInt8, t Tuple(UInt8,String)", "CSVWithNames", "t.1,t.2,b\n1,x,5\n")]
INPUT += [(f"a {kind}, b UInt8", form, data) for kind in ["UInt8", "Int64", "Decimal(9,2)"] for form, data in [("CSV", '"",1\n'), ("CSV", " ,1\n"), ("TabSeparated", "\t1\n"), ("JSONEachRow", '{"a":"","b":1}')]]
INPUT += [("a UInt8, b UInt8", "CSV", '"",1\n,2\n', {"input_format_csv_empty_as_default": "0"})]
INPUT += [(MAYBE, "CSV", data) for data in ["\\N,\\N,\\N\n", "\"\",\"\",\"\"\n", "1,\\Nx,\\Nx\n", "1,\\N ,\\N\n", "1,\"\\N\",\"NULL\"\n", "1, \\N, \\N\n"]]
WORDS = {"bool_true_representation": "Y!", "bool_false_representation": "N!"}
INPUT += [("a Bool", form, data, WORDS) for form, data in [("CSV", "Y!\nN!\ntrue\n"), ("TabSeparated", "Y!\nN!\n1\n")]]
NULLS = {"format_csv_null_representation": "NA", "format_tsv_null_representation": "NA"}
INPUT += [("a Nullable(String), b UInt8", form, data, NULLS) for form in ["CSV", "TabSeparated"] for data in ["NA,NA\n".replace(",", "\t" if form == "TabSeparated" else ","), "NAx,1\n".replace(",", "\t" if form == "TabSeparated" else ",")]]
INPUT += [("a Nullable(String), b UInt8", "CSV", "\\N,1\n", NULLS), ("a UInt8", "CSV", "h\nh\n1\n2\n", {"input_format_csv_skip_first_lines": "2"}), ("a UInt8", "CSV", '"a\nb"\nx\n1\n', {"input_format_csv_skip_first_lines": "2"}),
          ("a UInt8", "TabSeparated", "a\\\nb\nx\n1\n", {"input_format_tsv_skip_first_lines": "2"}), ("a UInt8", "CSVWithNames", "junk\na\n1\n", {"input_format_csv_skip_first_lines": "1"}), ("a UInt8", "CSV", "x\n", {"input_format_csv_skip_first_lines": "2"})]
for tolerance in [{"input_format_allow_errors_num": "1"}, {"input_format_allow_errors_num": "2"}, {"input_format_allow_errors_ratio": "0.5"}]:
    for form, data in [("CSV", "1,x\nbad,y\n3,z\n"), ("CSV", "bad,y\nbad\n3,z\n"), ("CSVWithNames", "a,s\n1,x\nbad,y\n3,z\n"), ("TabSeparated", "1\tx\nbad\ty\n3\tz\n"), ("JSONEachRow", '{"a":1}\n{"a":"q"}\n{"a":3}\n'),
                       ("JSONEachRow", '{"a":1}\n{"a":\n"q"}\n{"a":3}\n'), ("JSONEachRow", '{"a":1}\nzz\n{"a":3}\n'), ("JSONEachRow", '{"a":"q"}\n{"a":"q"}\n{"a":"q"}\n{"a":3}\n'), ("JSONCompactEachRow", '[1,"x"]\n["q","y"]\n[3,"z"]\n'),
                       ("JSONColumns", '{"a":["q"]}')]:
        INPUT.append((T, form, data, tolerance))


def columnar():
    """Files that ClickHouse itself writes."""
    columns = ("a Int8, b UInt64, c Float64, d String, e Nullable(Int32), f Bool, g DateTime64(9,'UTC'), h DateTime64(3,'UTC'), i Date, "
               "j LowCardinality(String), k Array(Int32), l Decimal(18,4), m Nullable(String)")
    rows = ("(1,2,1.5,'x',NULL,true,'2024-01-02 03:04:05.678901234','2024-01-02 03:04:05.678','2024-01-02','s1',[1,2],1.25,NULL),"
            "(-1,18446744073709551615,-0.5,'ü',7,false,'1960-01-01 00:00:00.5','2024-01-02 03:04:05','1970-01-02','s2',[],-3,'y')")
    SESSION.query(f"CREATE TABLE f ({columns}) ENGINE = Memory")
    SESSION.query(f"INSERT INTO f VALUES {rows}")
    for form in ["Arrow", "ArrowStream", "Parquet"]:
        for more in ["", "SETTINGS output_format_arrow_low_cardinality_as_dictionary = 1", "SETTINGS output_format_arrow_compression_method = 'zstd', output_format_parquet_compression_method = 'snappy'"]:
            yield columns, form, SESSION.query(f"SELECT * FROM f {more}", form).bytes()


# Native: type and values in the block, type of the column it goes into (None: the same), what is ours
CONVERSIONS = [
    ("Int8", "(-128),(127)", "Int64"), ("UInt8", "(0),(255)", "UInt64"), ("UInt8", "(255)", "Int32"), ("Int64", "(-5),(7)", "Int8"), ("Int64", "(300)", "Int8", {"code": 321, "why": WRAP}),
    ("Int32", "(-1)", "UInt32", {"code": 321, "why": WRAP}), ("UInt64", "(18446744073709551615)", "Int64", {"code": 321, "why": WRAP}), ("Int32", "(5)", "Float64"), ("Float32", "(0.5),(1e10)", "Float64"),
    ("Float64", "(0.5),(-1e10)", "Float32"), ("Float64", "(1.75),(-1.75)", "Int32"), ("UInt8", "(0),(1)", "Bool"), ("UInt8", "(5)", "Bool"), ("Bool", "(true),(false)", "UInt8"), ("Bool", "(true),(false)", None),
    ("Int32", "(5),(-7)", "String"), ("Float64", "(1.5)", "String"), ("Bool", "(true)", "String"), ("Date", "('2024-01-02')", "String"), ("DateTime('UTC')", "('2024-01-02 03:04:05')", "String"),
    ("String", "('a'),(''),('b'),('a')", "LowCardinality(String)"), ("LowCardinality(String)", "('a'),(''),('b'),('a')", "String"), ("LowCardinality(String)", "('a'),(''),('b'),('a')", None),
    ("LowCardinality(Nullable(String))", "('a'),(NULL),(''),('a')", None), ("LowCardinality(Nullable(String))", "('a'),(NULL),(''),('a')", "LowCardinality(String)"),
    ("LowCardinality(Nullable(String))", "('a'),(NULL),(''),('a')", "Nullable(String)"), ("Nullable(String)", "('a'),(NULL),('')", "LowCardinality(Nullable(String))"), ("LowCardinality(String)", "('a'),('')", "LowCardinality(Nullable(String))"),
    ("Nullable(Int32)", "(1),(NULL)", None), ("Nullable(Int32)", "(1),(NULL)", "Int32"), ("Nullable(Int32)", "(1),(2)", "Int64"), ("Int32", "(1),(2)", "Nullable(Int64)"), ("Nullable(Int8)", "(1),(NULL)", "Nullable(Int64)"),
    ("Nullable(String)", "('x'),(NULL)", "String"), ("Nullable(DateTime('UTC'))", "('2024-01-02 03:04:05'),(NULL)", "DateTime64(9,'UTC')"), ("Nullable(UUID)", "('61f0c404-5cb3-11e7-907b-a6006ad3dba0'),(NULL)", None),
    ("String", "('12'),('-7')", "Int32"), ("String", "('1.5')", "Float64"), ("String", "('2024-01-02')", "Date"), ("String", "('2024-01-02 03:04:05.5')", "DateTime64(9,'UTC')"), ("String", "('1704187800')", "DateTime('UTC')"),
    ("String", "('61f0c404-5cb3-11e7-907b-a6006ad3dba0')", "UUID"), ("String", "('1.25')", "Decimal(9,2)"), ("String", "('[1,2]')", "Array(Int32)"), ("String", "('true'),('0')", "Bool"),
    ("String", "('abc')", "Int32", {"code": 27, "why": ONE_CODE}), ("String", "('x')", "DateTime64(3,'UTC')"), ("String", "('x')", "UUID"),
    ("DateTime('UTC')", "('2024-01-02 03:04:05')", "DateTime64(3,'UTC')"), ("DateTime('UTC')", "('2024-01-02 03:04:05')", "DateTime64(9,'UTC')"), ("DateTime64(3,'UTC')", "('2024-01-02 03:04:05.678')", "DateTime64(9,'UTC')"),
    ("DateTime64(9,'UTC')", "('2024-01-02 03:04:05.678901234')", "DateTime64(3,'UTC')"), ("DateTime64(9,'UTC')", "('2024-01-02 03:04:05.999901234')", "DateTime('UTC')"), ("DateTime64(6,'UTC')", "('1969-12-31 23:59:59.999999')", "DateTime64(3,'UTC')"),
    ("DateTime64(1,'UTC')", "('2024-01-02 03:04:05.6')", "DateTime64(8,'UTC')"), ("DateTime64(8,'UTC')", "('2024-01-02 03:04:05.67890123')", "DateTime64(1,'UTC')"), ("DateTime64(9,'UTC')", "('2024-01-02 03:04:05.678901234')", "DateTime64(9,'Europe/Berlin')"),
    ("DateTime64(1,'UTC')", "('2024-01-02 03:04:05.6')", None), ("DateTime64(5,'UTC')", "('2024-01-02 03:04:05.67891')", None), ("DateTime64(7,'UTC')", "('1960-01-02 03:04:05.6789012')", None), ("DateTime64(0,'UTC')", "('2024-01-02 03:04:05')", None),
    ("DateTime('UTC')", "('2024-01-02 03:04:05')", "Date"), ("Date", "('2024-01-02')", "DateTime('UTC')"), ("Date", "('2024-01-02')", "DateTime64(3,'UTC')"), ("Date", "('1970-01-01'),('2149-06-06')", None), ("Date32", "('2024-01-02')", "Date"),
    ("UInt32", "(1704187800)", "DateTime('UTC')"), ("Int64", "(1704187800)", "DateTime64(3,'UTC')"), ("Int64", "(1704187800)", "DateTime64(9,'UTC')"), ("UInt32", "(1704187800)", "DateTime64(9,'UTC')"), ("Float64", "(1704187800.5)", "DateTime64(3,'UTC')"),
    ("Int64", "(1704187800123)", "DateTime64(3,'UTC')", {"rows": "2024-01-02 09:30:00.123\n", "why": TICKS}), ("DateTime('UTC')", "('2024-01-02 03:04:05')", "Int64"), ("UInt16", "(19724)", "Date"),
    ("Decimal(9,2)", "(1.5),(-0.01)", None), ("Decimal(18,4)", "(1.5),(-0.0001)", None), ("Decimal(38,10)", "(12345678901234567890.0123456789)", None), ("Decimal(9,2)", "(1.5)", "Decimal(18,4)"), ("Decimal(18,4)", "(1.5055),(-1.5055)", "Decimal(9,2)"),
    ("Decimal(9,2)", "(1.5)", "Float64"), ("Float64", "(1.256),(-1.256)", "Decimal(9,2)"), ("Int32", "(7)", "Decimal(9,2)"), ("Decimal(18,0)", "(99999999999)", "Decimal(9,2)", {"code": 321, "why": "a number that does not fit has one code in all formats"}), ("Decimal(9,2)", "(1.75)", "Int32"),
    ("Array(Int32)", "([1,2]),([]),([3])", None), ("Array(Int32)", "([1,2]),([]),([3])", "Array(Int64)"), ("Array(Array(UInt8))", "([[1],[],[2,3]]),([])", None), ("Array(Nullable(Float64))", "([1.5,NULL]),([])", None), ("Array(String)", "(['a','']),([])", None),
    ("Array(LowCardinality(String))", "(['a','b','a']),([]),([''])", "Array(String)"), ("Array(LowCardinality(Nullable(String)))", "(['a',NULL,'a']),([])", "Array(Nullable(String))"), ("Array(LowCardinality(String))", "([]),([])", None),
    ("Map(String,Int32)", "(map('k',1,'l',2)),(map())", None), ("Map(LowCardinality(String),UInt8)", "(map('k',1)),(map())", "Map(String,UInt8)"), ("Tuple(Int32,String)", "((1,'x'))", None), ("Tuple(a Int32,b Nullable(String))", "((1,'x')),((2,NULL))", "Tuple(Int32,Nullable(String))"),
    ("Array(Tuple(LowCardinality(String),UInt8))", "([('a',1),('b',2)]),([])", "Array(Tuple(String,UInt8))"), ("LowCardinality(UInt64)", "(5),(5),(0)", "UInt64"), ("LowCardinality(Nullable(Int32))", "(5),(NULL),(5)", "Nullable(Int32)"),
    ("UUID", "('61f0c404-5cb3-11e7-907b-a6006ad3dba0')", None), ("Float64", "(nan),(inf),(-0.0)", None), ("FixedString(3)", "('abc')", "String", {"code": 48, "why": "a type that tables do not have"}),
]

# These also as Arrow: its types are as many as ClickHouse's for them.
ARROW_TOO = ["Int32", "Int64", "UInt8", "UInt32", "UInt64", "Float64", "String", "DateTime64(3,'UTC')", "DateTime64(9,'UTC')", "Decimal(9,2)", "Decimal(18,4)", "Array(Int32)", "Nullable(Int32)"]


def blocks():
    """Native blocks of one type into a column of another, as ClickHouse's clients send them."""
    for case in CONVERSIONS:
        source, rows, target = case[:3]
        SESSION.query("DROP TABLE IF EXISTS f")
        SESSION.query(f"CREATE TABLE f (a {source}) ENGINE = Memory SETTINGS allow_suspicious_low_cardinality_types = 1", "CSV")
        SESSION.query(f"INSERT INTO f VALUES {rows}")
        yield (f"a {target or source}", "Native", SESSION.query("SELECT a FROM f", "Native").bytes(), {}, *case[3:])
        if target and source in ARROW_TOO:
            yield (f"a {target}", "ArrowStream", SESSION.query("SELECT a FROM f", "ArrowStream").bytes(), {}, *case[3:])
    strings = lambda *parts: b"".join(bytes([len(part)]) + part.encode() for part in parts)
    number = lambda value: value.to_bytes(8, "little")
    two = b"\x02\x02" + strings("s", "String") + b"\x01x\x01y" + strings("a", "UInt8") + b"\x01\x02"
    unknown = b"\x02\x01" + strings("z", "Array(UInt8)") + number(2) + b"\x01\x02" + strings("a", "UInt8") + b"\x07"
    null = b"\x01\x01" + strings("a", "Nullable(UInt8)") + b"\x01\x00"
    low = lambda flags, *rest: b"\x01\x01" + strings("a", "LowCardinality(String)") + number(1) + number(flags) + b"".join(rest)
    yield T, "Native", two, {}
    yield T, "Native", two + unknown + two, {}
    yield T, "Native", two + b"\x02\x00" + strings("a", "UInt8", "s", "String"), {}
    yield T, "Native", b"\x00\x00" + two, {}, {"rows": "1\tx\n2\ty\n", "why": "an empty block does not end the data"}
    yield T, "Native", unknown, {"input_format_skip_unknown_fields": "0"}
    yield T, "Native", null, {}
    yield T, "Native", null, {"input_format_null_as_default": "0"}
    yield T, "Native", b"\x02\x01" + strings("a", "UInt8") + b"\x07" + strings("a", "UInt8") + b"\x08", {}
    yield T, "Native", two[:-1], {}
    yield T, "Native", b"\x00\x01", {}, {"code": 117, "why": "a block with rows but no columns cannot be bounded by its bytes"}
    yield T, "Native", b"\x01\x01" + strings("a", "Bogus") + b"\x07", {}
    yield "a Array(UInt8)", "Native", b"\x01\x02" + strings("a", "Array(UInt8)") + number(1) + number(0) + b"\x07", {}
    for width, index in [(0, b"\x01"), (1, b"\x01\x00"), (2, b"\x01\x00\x00\x00"), (3, number(1))]:
        yield "a LowCardinality(String)", "Native", low(0x600 | width, number(2), b"\x00\x01x", number(1), index), {}
    yield "a LowCardinality(String)", "Native", low(0x600, number(2), b"\x01y\x01x", number(1), b"\x00"), {}


def settings_of(settings):
    return " SETTINGS " + ", ".join(f"{k} = '{v}'" for k, v in settings.items()) if settings else ""


def outputs(cases, forms, out):
    for name, columns, rows, settings in cases:
        SESSION.query("DROP TABLE IF EXISTS t")
        SESSION.query(f"CREATE TABLE t ({columns}) ENGINE = Memory")
        if rows:
            SESSION.query(f"INSERT INTO t VALUES {rows}")
        expected, back = {}, {}
        for form in forms:
            if name.startswith("no rows") and form.startswith("JSON") and form.endswith("Row"):
                continue
            if form in FILES and settings:
                continue
            data = quantity(f"SELECT * FROM t{settings_of(settings)}", form)
            expected[form] = base64.b64encode(data).decode()
            if form not in PEOPLE + WRITTEN_ONLY and data:
                found = read_back(columns, form, data, settings)
                back[form] = None if found == quantity("SELECT * FROM t", "TabSeparated").decode() else found
        line = {"name": name, "columns": columns, "rows": rows, "settings": settings, "expected": expected, "read_back": back}
        out.write(json.dumps(line) + "\n")


def read_back(columns, form, data, settings):
    with tempfile.NamedTemporaryFile(suffix=".bin", dir="/tmp") as file:
        file.write(data)
        file.flush()
        structure = columns.replace("\\", "\\\\").replace("'", "\\'")
        query = f"SELECT * FROM file('{file.name}', '{form}', '{structure}'){settings_of(settings)}"
        SESSION.query("DROP TABLE IF EXISTS back")
        SESSION.query(f"CREATE TABLE back ({columns}) ENGINE = Memory")
        try:
            SESSION.query(f"INSERT INTO back {query}")
        except Exception as error:
            return "code " + re.search(r"Code: (\d+)", str(error)).group(1)
    return SESSION.query("SELECT * FROM back", "TabSeparated").bytes().decode()


def inputs(out):
    for case in INPUT + list(columnar()) + list(blocks()):
        columns, form, data = case[:3]
        settings = case[3] if len(case) > 3 else {}
        ours = case[4] if len(case) > 4 else None
        data = data.encode() if isinstance(data, str) else data
        with tempfile.NamedTemporaryFile(suffix=".bin", dir="/tmp") as file:
            file.write(data)
            file.flush()
            structure = columns.replace("'", "\\'")
            SESSION.query("DROP TABLE IF EXISTS t")
            SESSION.query(f"CREATE TABLE t ({columns}) ENGINE = Memory")
            query = f"INSERT INTO t FROM INFILE '{file.name}'{settings_of(settings)} FORMAT {form}"
            try:
                if len(data) == 0:
                    raise EOFError
                query = f"INSERT INTO t SELECT * FROM file('{file.name}', '{form}', '{structure}'){settings_of(settings)}"
                SESSION.query(query)
                result = {"rows": SESSION.query("SELECT * FROM t", "TabSeparated").bytes().decode()}
            except EOFError:
                result = {"rows": ""}
            except Exception as error:
                result = {"code": int(re.search(r"Code: (\d+)", str(error)).group(1))}
        line = {"columns": columns, "format": form, "data": base64.b64encode(data).decode(), "settings": settings, "clickhouse": result}
        if ours:
            line["ours"] = ours
        out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    with open(os.path.join(HERE, "golden/output.jsonl"), "w") as out:
        outputs(OUTPUT, TEXT + FILES, out)
        outputs(PEOPLE_OUTPUT, PEOPLE, out)
    with open(os.path.join(HERE, "golden/input.jsonl"), "w") as out:
        inputs(out)
