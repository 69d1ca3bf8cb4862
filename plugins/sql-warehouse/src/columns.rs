//! Types as Spark's SQL names them, in the closed set that the view engine builds.

use lakefeed_plugin_api::{ColumnType, ScalarType};

/// The column type of an SQL type's text, such as `string`, `array<int>` or `TIMESTAMP`; none outside the set.
#[must_use]
pub fn of_sql(text: &str) -> Option<ColumnType> {
    let text = text.trim().to_ascii_lowercase();
    match text
        .strip_prefix("array<")
        .and_then(|rest| rest.strip_suffix('>'))
    {
        Some(item) => scalar(item.trim()).map(ColumnType::List),
        None => scalar(&text).map(ColumnType::Scalar),
    }
}

fn scalar(name: &str) -> Option<ScalarType> {
    Some(match name {
        "string" => ScalarType::Utf8,
        "date" => ScalarType::Date32,
        "timestamp" => ScalarType::TimestampMicrosUtc,
        "int" | "integer" => ScalarType::Int32,
        "bigint" | "long" => ScalarType::Int64,
        "double" => ScalarType::Float64,
        "boolean" => ScalarType::Boolean,
        "binary" => ScalarType::Binary,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_the_set_are_known_and_others_are_not() {
        let name = |text: &str| of_sql(text).map(|column| column.to_string());
        assert_eq!(name("STRING").as_deref(), Some("utf8"));
        assert_eq!(name("array<bigint>").as_deref(), Some("list<int64>"));
        assert_eq!(name("timestamp").as_deref(), Some("timestamp-us-utc"));
        for other in [
            "timestamp_ntz",
            "decimal(10,2)",
            "array<array<int>>",
            "struct<a:int>",
            "varchar(10)",
        ] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
