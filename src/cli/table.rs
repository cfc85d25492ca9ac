//! Lists as people read them: a header, and columns below it.
//!
//! INVARIANT: a cell is one line, whatever is in it, and is as wide as it is shown.

use super::Text;
use crate::core::visible::escape_hidden;

/// Rows below their headers; `none` if there is no row.
pub fn table<const N: usize>(headers: [&str; N], rows: Vec<[String; N]>, none: &str) -> Text {
    if rows.is_empty() {
        return none.into();
    }
    let rows: Vec<[String; N]> = std::iter::once(headers.map(str::to_owned))
        .chain(rows.into_iter().map(|row| row.map(|cell| escape_hidden(&cell))))
        .collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().into()
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_stand_below_their_headers() {
        let rows = vec![["1".to_owned(), "web-1".to_owned()], ["2".to_owned(), "a\nb".to_owned()]];
        let text = table(["ID", "NAME"], rows, "none").to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines.iter().all(|line| line.find(['N', 'w', 'a']) == Some(4)), "{text}");
        assert_eq!(table(["ID"], Vec::new(), "no keys").to_string(), "no keys");
    }
}
