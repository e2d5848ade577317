//! The database `information_schema` of the SQL standard, under both of its spellings, for tools that know no `system`:
//! views over `system` with ClickHouse's columns, each by its lower and its upper name.
//!
//! A database that a user has made under one of these names, with a build that had none yet, is the user's.

use zepto_common::schema::TableName;
use zepto_engine::store::ViewDefinition;

/// The database's names.
const DATABASES: [&str; 2] = ["INFORMATION_SCHEMA", "information_schema"];

/// Columns that follow one another: name and expression.
type Columns = &'static [(&'static str, &'static str)];

/// One view: its name, groups of columns of which each is followed by the same in upper case, and what follows FROM.
///
/// A constant that may be NULL depends on a row, for what is folded cannot be NULL any more.
struct View {
    name: &'static str,
    columns: [Columns; 2],
    from: &'static str,
}

const TEXT: &str = "CAST(NULL AS Nullable(String))";
const NUMBER: &str = "CAST(NULL AS Nullable(UInt64))";
const SIGNED: &str = "CAST(NULL AS Nullable(Int64))";
const SMALL: &str = "CAST(NULL AS Nullable(UInt32))";
const TIME: &str = "CAST(NULL AS Nullable(DateTime))";
const NOTHING: &str = "''";
const NO: &str = "'NO'";

const VIEWS: &[View] = &[
    View {
        name: "columns",
        columns: [
            &[
                ("table_catalog", "database"),
                ("table_schema", "database"),
                ("table_name", "table"),
                ("column_name", "name"),
                ("ordinal_position", "position"),
                ("column_default", "default_expression"),
                ("is_nullable", "if(type LIKE 'Nullable(%)', '1', '0')"),
                ("data_type", "type"),
                ("character_maximum_length", "character_octet_length"),
                ("character_octet_length", "character_octet_length"),
                ("numeric_precision", "numeric_precision"),
                ("numeric_precision_radix", "numeric_precision_radix"),
                ("numeric_scale", "numeric_scale"),
                ("datetime_precision", "datetime_precision"),
                ("character_set_catalog", TEXT),
                ("character_set_schema", TEXT),
                ("character_set_name", TEXT),
                ("collation_catalog", TEXT),
                ("collation_schema", TEXT),
                ("collation_name", TEXT),
                ("domain_catalog", TEXT),
                ("domain_schema", TEXT),
                ("domain_name", TEXT),
                ("extra", "toNullable(if(default_kind = 'DEFAULT', 'DEFAULT_GENERATED', ''))"),
                ("column_comment", "comment"),
                ("column_type", "type"),
            ],
            &[
                ("column_key", "if(is_in_primary_key = 1, 'PRI', '')"),
                ("privileges", NOTHING),
                ("generation_expression", NOTHING),
                ("srs_id", SMALL),
            ],
        ],
        from: "system.columns",
    },
    View {
        name: "engines",
        columns: [&[("engine", "name"), ("support", "if(name = 'MergeTree', 'DEFAULT', 'YES')")], &[]],
        from: "system.table_engines",
    },
    View {
        name: "key_column_usage",
        columns: [
            &[
                ("constraint_catalog", "'def'"),
                ("constraint_schema", "database"),
                ("constraint_name", "if(is_in_primary_key = 1, 'PRIMARY', NULL)"),
                ("table_catalog", "'def'"),
                ("table_schema", "database"),
                ("table_name", "table"),
                ("column_name", "toNullable(name)"),
                ("ordinal_position", "toUInt32(1)"),
                ("position_in_unique_constraint", SMALL),
                ("referenced_table_schema", TEXT),
                ("referenced_table_name", TEXT),
                ("referenced_column_name", TEXT),
            ],
            &[],
        ],
        from: "system.columns WHERE is_in_primary_key = 1",
    },
    View {
        name: "referential_constraints",
        columns: [
            &[
                ("constraint_catalog", NOTHING),
                ("constraint_schema", NOTHING),
                ("constraint_name", TEXT),
                ("unique_constraint_catalog", NOTHING),
                ("unique_constraint_schema", NOTHING),
                ("unique_constraint_name", TEXT),
                ("match_option", NOTHING),
                ("update_rule", NOTHING),
                ("delete_rule", NOTHING),
                ("table_name", NOTHING),
                ("referenced_table_name", NOTHING),
            ],
            &[],
        ],
        from: "system.one WHERE 0",
    },
    View {
        name: "schemata",
        columns: [
            &[
                ("catalog_name", "name"),
                ("schema_name", "name"),
                ("schema_owner", "'default'"),
                ("default_character_set_catalog", TEXT),
                ("default_character_set_schema", TEXT),
                ("default_character_set_name", TEXT),
                ("sql_path", TEXT),
            ],
            &[("default_collation_name", "'utf8mb4_0900_ai_ci'"), ("default_encryption", NO)],
        ],
        from: "system.databases",
    },
    View {
        name: "statistics",
        columns: [
            &[
                ("table_catalog", NOTHING),
                ("table_schema", NOTHING),
                ("table_name", NOTHING),
                ("non_unique", "toInt32(0)"),
                ("index_schema", NOTHING),
                ("index_name", TEXT),
                ("seq_in_index", "toUInt32(0)"),
                ("column_name", TEXT),
                ("collation", TEXT),
                ("cardinality", SIGNED),
                ("sub_part", SIGNED),
                ("packed", TEXT),
                ("nullable", NOTHING),
                ("index_type", NOTHING),
                ("comment", NOTHING),
                ("index_comment", NOTHING),
                ("is_visible", NOTHING),
                ("expression", TEXT),
            ],
            &[],
        ],
        from: "system.one WHERE 0",
    },
    View {
        name: "tables",
        columns: [
            &[
                ("table_catalog", "database"),
                ("table_schema", "database"),
                ("table_name", "name"),
                (
                    "table_type",
                    "multiIf(kind LIKE '%View', 'VIEW', kind LIKE 'System%', 'SYSTEM VIEW', 'BASE TABLE')",
                ),
                ("table_rows", "total_rows"),
                ("data_length", "total_bytes"),
                ("index_length", "if(name != '', toUInt64(0), NULL)"),
                ("table_collation", "if(name != '', 'utf8mb4_0900_ai_ci', NULL)"),
                ("table_comment", "toNullable(comment)"),
            ],
            &[
                ("engine", "if(kind LIKE '%View' OR kind LIKE 'System%', NULL, kind)"),
                ("version", NUMBER),
                ("row_format", TEXT),
                ("avg_row_length", NUMBER),
                ("max_data_length", NUMBER),
                ("data_free", NUMBER),
                ("auto_increment", NUMBER),
                ("create_time", TIME),
                ("update_time", TIME),
                ("check_time", TIME),
                ("checksum", SIGNED),
                ("create_options", TEXT),
            ],
        ],
        // The view has a column `engine` of its own, which its expressions would mean.
        from: "(SELECT *, engine AS kind FROM system.tables)",
    },
    View {
        name: "views",
        columns: [
            &[
                ("table_catalog", "database"),
                ("table_schema", "database"),
                ("table_name", "name"),
                ("view_definition", "as_select"),
                ("check_option", "'NONE'"),
                ("is_updatable", NO),
                ("is_insertable_into", NO),
                ("is_trigger_updatable", NO),
                ("is_trigger_deletable", NO),
                ("is_trigger_insertable_into", NO),
            ],
            &[],
        ],
        from: "system.tables WHERE engine LIKE '%View' AND as_select != ''",
    },
];

/// Whether this is one of the database's names.
pub(super) fn is_name(database: &str) -> bool {
    DATABASES.contains(&database)
}

/// The database's names.
pub(super) fn databases() -> impl Iterator<Item = &'static str> {
    DATABASES.into_iter()
}

/// Names of the views, in both spellings.
pub(super) fn names() -> impl Iterator<Item = String> {
    VIEWS.iter().flat_map(|view| [view.name.to_uppercase(), view.name.to_owned()])
}

/// A view of this database.
pub(super) fn view(database: &str, name: &str) -> Option<ViewDefinition> {
    let found = VIEWS.iter().find(|view| view.name == name || view.name.to_uppercase() == name)?;
    Some(ViewDefinition {
        name: TableName::new(database, name),
        sql: format!("CREATE VIEW {database}.{name} AS {}", query(found)),
        columns: Vec::new(),
        materialized: false,
        target: None,
        source: None,
        states: None,
        reads: Vec::new(),
    })
}

fn query(view: &View) -> String {
    let mut columns = Vec::new();
    for group in view.columns {
        columns.extend(group.iter().map(|(name, expression)| format!("{expression} AS `{name}`")));
        columns.extend(
            group.iter().map(|(name, expression)| format!("{expression} AS `{}`", name.to_uppercase())),
        );
    }
    format!("SELECT {} FROM {}", columns.join(", "), view.from)
}
