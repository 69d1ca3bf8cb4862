//! A value on its way from a resource to a column: already of the column's type, still pointing at its text.

/// Where a text lies while one resource is flattened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The JSON itself; a criterion reads several.
    Source(u16),
    /// Strings of the JSON that had escapes, unescaped.
    Unescaped,
    /// What functions made.
    Made,
    /// The program's literals and constants.
    Literal,
}

/// A piece of text: where, from, how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TextRef {
    pub(crate) origin: Origin,
    pub(crate) start: u32,
    pub(crate) length: u32,
}

/// One value of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell {
    Null,
    Boolean(bool),
    /// Also days and microseconds.
    Integer(i64),
    Float(f64),
    Text(TextRef),
    /// Bytes decoded from base64, in the memory of the flattener.
    Bytes {
        start: u32,
        length: u32,
    },
    /// Cells of a list, in the memory of the flattener.
    List {
        start: u32,
        length: u32,
    },
}
