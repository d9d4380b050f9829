//! Tables for people, as wide as their terminal.

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table};
use serde_json::Value;

use super::json;
use crate::terminal::clean;

/// What stands where nothing is.
const NOTHING: &str = "-";
/// From this width on there is room for columns that can be missed.
const WIDE: u16 = 150;

/// A column of a list.
pub struct Column {
    /// What stands above it.
    title: &'static str,
    /// Where in a row its value is, as a JSON pointer.
    pointer: &'static str,
    kind: Kind,
    is_for_wide: bool,
}

/// How a column's value is shown.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Id,
    Time,
    Status,
    Made(fn(&Value) -> String),
}

impl Column {
    /// A text, number or list.
    pub const fn text(title: &'static str, pointer: &'static str) -> Self {
        Self::new(title, pointer, Kind::Text)
    }

    /// What is copied as a whole, and so never broken into lines.
    pub const fn id(title: &'static str, pointer: &'static str) -> Self {
        Self::new(title, pointer, Kind::Id)
    }

    /// A moment.
    pub const fn time(title: &'static str, pointer: &'static str) -> Self {
        Self::new(title, pointer, Kind::Time)
    }

    /// A status, coloured.
    pub const fn status(title: &'static str, pointer: &'static str) -> Self {
        Self::new(title, pointer, Kind::Status)
    }

    /// What is made of the whole row.
    pub const fn made(title: &'static str, make: fn(&Value) -> String) -> Self {
        Self::new(title, "", Kind::Made(make))
    }

    /// Only where there is room for it.
    pub const fn if_wide(mut self) -> Self {
        self.is_for_wide = true;
        self
    }

    const fn new(title: &'static str, pointer: &'static str, kind: Kind) -> Self {
        Self {
            title,
            pointer,
            kind,
            is_for_wide: false,
        }
    }

    fn cell(&self, row: &Value) -> Cell {
        let value = row.pointer(self.pointer).unwrap_or(&Value::Null);
        let text = match self.kind {
            Kind::Made(make) => clean(&make(row)).into_owned(),
            Kind::Time => moment(value),
            _ => plain(value),
        };
        match self.kind {
            Kind::Status => Cell::new(&text).fg(color_of(&text)),
            _ => Cell::new(text),
        }
    }
}

/// Colours, and how wide.
#[derive(Clone, Copy)]
pub struct Style {
    /// Whether the reader sees colours.
    pub color: bool,
    /// Columns of the screen, where the terminal itself is not asked.
    pub width: Option<u16>,
}

impl Style {
    /// Without colours.
    pub fn plain(self) -> Self {
        Self {
            color: false,
            ..self
        }
    }
}

/// A list.
pub fn rows<'a>(columns: &[Column], rows: impl Iterator<Item = &'a Value>, style: Style) -> String {
    let mut table = table(style);
    let has_room = table.width().is_none_or(|width| width >= WIDE);
    let columns: Vec<_> = columns
        .iter()
        .filter(|column| has_room || !column.is_for_wide)
        .collect();
    let title = |column: &&Column| Cell::new(column.title).add_attribute(Attribute::Bold);
    table.set_header(columns.iter().map(title));
    for row in rows {
        table.add_row(columns.iter().map(|column| column.cell(row)));
    }
    for (index, column) in columns.iter().enumerate() {
        if let (Kind::Id | Kind::Status, Some(shown)) = (column.kind, table.column_mut(index)) {
            shown.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    finished(table)
}

/// One thing, a line for each of its fields; objects inside of it by their paths.
pub fn fields(value: &Value, style: Style) -> String {
    let mut table = table(style);
    add_fields(&mut table, "", value);
    if let Some(names) = table.column_mut(0) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    finished(table)
}

fn add_fields(table: &mut Table, path: &str, value: &Value) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let path = match path {
                    "" => name.clone(),
                    _ => format!("{path}.{name}"),
                };
                add_fields(table, &path, value);
            }
        }
        _ => {
            let text = if path.ends_with("At") {
                moment(value)
            } else {
                plain(value)
            };
            table.add_row([clean(path).into_owned(), text]);
        }
    }
}

fn table(style: Style) -> Table {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = style.width {
        table.set_width(width);
    }
    if style.color {
        table.enforce_styling();
    } else {
        // This also keeps it from asking a terminal for its width, so that is asked first.
        let width = table.width();
        table.force_no_tty();
        if let Some(width) = width {
            table.set_width(width);
        }
    }
    table
}

fn finished(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A value on one line, lists of things on one line each.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::String(text) if text.is_empty() => NOTHING.to_owned(),
        Value::String(text) => clean(text).into_owned(),
        Value::Array(items) if items.is_empty() => NOTHING.to_owned(),
        Value::Array(items) => {
            let separator = if items.iter().any(Value::is_object) {
                "\n"
            } else {
                ", "
            };
            let items: Vec<_> = items.iter().map(plain).collect();
            items.join(separator)
        }
        Value::Object(fields) if fields.is_empty() => NOTHING.to_owned(),
        other => json::compact(other),
    }
}

/// `2027-01-15T08:00:00.000Z` without what nobody reads.
fn moment(value: &Value) -> String {
    let text = plain(value);
    match text.split_once('T') {
        Some((day, time)) => match time.split_once('.') {
            Some((time, _)) => format!("{day} {time}Z"),
            None => format!("{day} {time}"),
        },
        None => text,
    }
}

fn color_of(status: &str) -> Color {
    match status {
        "active" | "passed" => Color::Green,
        "revoked" | "failed" => Color::Red,
        _ => Color::Yellow,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::id("ID", "/id"),
        Column::text("NAME", "/name"),
        Column::status("STATUS", "/status"),
        Column::text("NOTE", "/note").if_wide(),
    ];

    fn of_width(width: u16) -> Style {
        Style {
            color: false,
            width: Some(width),
        }
    }

    #[test]
    fn a_table_keeps_to_its_width_and_never_breaks_an_id() {
        let id = "key_0123456789abcdefghij";
        let row = json!({"id": id, "name": "a name of many words ".repeat(9), "status": "active", "note": "n"});
        for width in [60, 80, 149] {
            let text = rows(&COLUMNS, [&row].into_iter(), of_width(width));
            assert!(text.contains(id), "{text}");
            assert!(!text.contains("NOTE"), "{text}");
            let longest = text.lines().map(|line| line.chars().count()).max();
            assert!(longest <= Some(usize::from(width)), "{text}");
        }
        let text = rows(&COLUMNS, [&row].into_iter(), of_width(150));
        assert!(text.contains("NOTE"), "{text}");
    }

    #[test]
    fn colours_are_there_only_when_they_are_wanted_and_texts_bring_none() {
        let row = json!({"id": "a", "name": "\u{1b}[31mred\nline", "status": "active"});
        let plain = rows(&COLUMNS, [&row].into_iter(), of_width(80));
        assert!(!plain.contains('\u{1b}'));
        assert!(plain.contains("\\u{1b}[31mred\\u{a}line"), "{plain}");
        let style = Style {
            color: true,
            ..of_width(80)
        };
        let colored = rows(&COLUMNS, [&row].into_iter(), style);
        assert!(colored.contains("\u{1b}[") && !colored.contains("\u{1b}[31mred"));
    }

    #[test]
    fn one_thing_is_told_field_by_field() {
        let thing = json!({
            "id": "a", "none": null, "limits": {"minute": 60, "day": null}, "list": ["a", "b"], "empty": [],
            "routes": [{"path": "/a"}, {"path": "/b"}], "createdAt": "2027-01-15T08:00:00.000Z", "metadata": {},
        });
        let text = fields(&thing, of_width(80));
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let expected: [&[&str]; 10] = [
            &["id", "a"],
            &["none", "-"],
            &["limits.minute", "60"],
            &["limits.day", "-"],
            &["list", "a,", "b"],
            &["empty", "-"],
            &["routes", "{\"path\":\"/a\"}"],
            &["{\"path\":\"/b\"}"],
            &["createdAt", "2027-01-15", "08:00:00Z"],
            &["metadata", "-"],
        ];
        // serde_json may keep objects in order of their names.
        let mut lines = lines;
        let mut expected: Vec<Vec<&str>> = expected.iter().map(|line| line.to_vec()).collect();
        lines.sort();
        expected.sort();
        assert_eq!(lines, expected);
    }
}
