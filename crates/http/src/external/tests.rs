use super::*;

fn parameters(query: &str) -> Parameters {
    Parameters::parse(query).unwrap()
}

fn columns(query: &str) -> Result<Vec<String>> {
    let (table, _) = open("t", &parameters(query))?;
    Ok(table.columns.iter().map(|column| format!("{} {}", column.name, column.ty)).collect())
}

#[test]
fn a_structure_names_columns_and_types_do_not() {
    for (query, wanted) in [
        ("t_structure=a+UInt8,b++String", vec!["a UInt8", "b String"]),
        (
            "t_structure=`a+b`+Nullable(String),+\"c,d\"+Decimal(10,+2)",
            vec!["a b Nullable(String)", "c,d Decimal(10, 2)"],
        ),
        (
            "t_types=UInt8,+DateTime64(3,+'UTC'),Array(Nullable(Int8))",
            vec!["_1 UInt8", "_2 DateTime64(3, 'UTC')", "_3 Array(Nullable(Int8))"],
        ),
        ("t_types=UInt8&t_structure=x+String&t_format=CSV", vec!["x String"]),
    ] {
        assert_eq!(columns(query).unwrap(), wanted, "{query}");
    }
}

#[test]
fn what_is_no_structure_is_refused_with_its_code() {
    for (query, code) in [
        ("", ErrorCode::BadArguments),
        ("t_structure=", ErrorCode::BadArguments),
        ("t_structure=a", ErrorCode::BadArguments),
        ("t_structure=a+", ErrorCode::BadArguments),
        ("t_structure=a+Int8,", ErrorCode::BadArguments),
        ("t_structure=`a+Int8", ErrorCode::BadArguments),
        ("t_structure=a+Int8)", ErrorCode::BadArguments),
        ("t_structure=``+Int8", ErrorCode::BadArguments),
        ("t_structure=a+Nonsense", ErrorCode::UnknownType),
        ("t_types=Int8+Int8", ErrorCode::UnknownType),
        ("t_structure=a+Int8,a+Int8", ErrorCode::DuplicateColumn),
        ("t_types=Int8&t_format=Nonsense", ErrorCode::UnknownFormat),
    ] {
        assert_eq!(columns(query).unwrap_err().code, code, "{query}");
    }
    let many = format!("t_types={}", "Int8,".repeat(COLUMNS_MAX + 1));
    assert_eq!(columns(&many).unwrap_err().code, ErrorCode::BadArguments);
    let deep = format!("t_types={}Int8{}", "Array(".repeat(10_000), ")".repeat(10_000));
    assert!(columns(&deep).is_err());
    assert!(open(&"n".repeat(300), &parameters(&format!("{}_types=Int8", "n".repeat(300)))).is_err());
}

#[test]
fn settings_that_end_like_a_tables_field_stay_settings() {
    for (name, about) in [
        ("t_structure", true),
        ("t_types", true),
        ("t_format", true),
        ("default_format", false),
        ("date_time_input_format", false),
        ("http_write_exception_in_output_format", false),
        ("param_my_format", false),
        ("structure", false),
    ] {
        assert_eq!(is_about_a_table(name), about, "{name}");
    }
}
