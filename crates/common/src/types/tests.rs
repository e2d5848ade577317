use super::*;

#[test]
fn a_type_name_survives_parsing_and_printing() {
    for name in [
        "Bool",
        "Int8",
        "UInt64",
        "Float32",
        "String",
        "LowCardinality(String)",
        "Date",
        "DateTime",
        "UUID",
        "DateTime('Europe/Berlin')",
        "DateTime64(9)",
        "DateTime64(3, 'UTC')",
        "Decimal(18, 4)",
        "Array(Nullable(Int32))",
        "Map(String, UInt8)",
        "LowCardinality(Nullable(String))",
        "Tuple(Int8, String)",
    ] {
        let ty: ColumnType = name.parse().unwrap();
        assert_eq!(ty.to_string(), name);
        assert_eq!(ColumnType::of_field(&ty.query_field("c")), ty, "{name} by query field");
        assert_eq!(ColumnType::of_field(&ty.storage_field("c")), ty, "{name} by storage field");
    }
}

#[test]
fn standard_names_are_aliases_and_nonsense_is_refused() {
    assert_eq!("bigint".parse::<ColumnType>().unwrap(), ColumnType::Int64);
    assert_eq!("SYMBOL".parse::<ColumnType>().unwrap(), ColumnType::Symbol);
    assert_eq!("TIMESTAMP_NS".parse::<ColumnType>().unwrap(), ColumnType::DateTime64(9, None));
    for (bad, number) in
        [("Strin", 50), ("Array(", 50), ("DateTime64(10)", 36), ("Nullable(Array(Int8))", 43)]
    {
        assert_eq!(bad.parse::<ColumnType>().unwrap_err().code.number(), number, "{bad}");
    }
    let deep = "Array(".repeat(500) + "Int8" + &")".repeat(500);
    assert_eq!(deep.parse::<ColumnType>().unwrap_err().code.number(), 167);
}

#[test]
fn a_boolean_without_metadata_is_a_comparison() {
    assert_eq!(ColumnType::of_field(&Field::new("c", DataType::Boolean, false)), ColumnType::UInt8);
    let cast = ColumnType::Bool.query_field("c").with_data_type(DataType::Int64);
    assert_eq!(ColumnType::of_field(&cast), ColumnType::Int64);
}

#[test]
fn a_type_of_clickhouse_that_is_not_here_is_told_from_a_misspelt_one() {
    let code = |text: &str| text.parse::<ColumnType>().unwrap_err().code;
    for text in [
        "Enum8('a' = 1)",
        "Array(FixedString(3))",
        "IPv4",
        "Int256",
        "Decimal256(3)",
        "Decimal(76, 3)",
        "Nested(a Int8)",
        "Tuple(a Int8, b String)",
        "JSON",
        "SimpleAggregateFunction(sum, Int64)",
    ] {
        assert_eq!(code(text), crate::ErrorCode::NotImplemented, "{text}");
    }
    for text in ["Strnig", "Int9", "Enum7('a' = 1)", "a b", "Array(x)"] {
        assert_eq!(code(text), crate::ErrorCode::UnknownType, "{text}");
    }
}

/// Whoever looked at what follows each word in turn would need a stack frame for each.
#[test]
fn a_name_of_many_words_is_told_at_once() {
    for text in ["a ".repeat(200_000), format!("a Tuple({})", "b ".repeat(200_000)), "a(".repeat(200_000)] {
        assert_eq!(text.parse::<ColumnType>().unwrap_err().code, crate::ErrorCode::UnknownType);
    }
}
