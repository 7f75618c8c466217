//! Plain columns for people; the last column may be of any length.

/// Side that the text of a column leans to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows under a heading. Cells hold escaped text.
#[derive(Debug)]
pub(crate) struct Table {
    sides: Vec<Side>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes a table with a heading.
    pub(crate) fn new(columns: &[(&str, Side)]) -> Self {
        Self {
            sides: columns.iter().map(|(_, side)| *side).collect(),
            rows: vec![columns.iter().map(|(title, _)| (*title).to_owned()).collect()],
        }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.sides.len(), "a cell a column");
        self.rows.push(cells.into());
    }

    /// Lines of the table, without spaces at their ends.
    pub(crate) fn lines(&self) -> Vec<String> {
        let widths: Vec<usize> = (0..self.sides.len())
            .map(|column| {
                self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
            })
            .collect();
        self.rows.iter().map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, width), side) in row.iter().zip(widths).zip(&self.sides) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            let gap = " ".repeat(width - cell.chars().count());
            match side {
                Side::Left => line.extend([cell.as_str(), &gap]),
                Side::Right => line.extend([&gap, cell.as_str()]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_spaces() {
        let mut table =
            Table::new(&[("ID", Side::Left), ("SIZE", Side::Right), ("PATH", Side::Left)]);
        table.row(["ab12cd34".into(), "1.0 KiB".into(), "/ä".into()]);
        table.row(["ü".into(), "12 B".into(), String::new()]);
        assert_eq!(
            table.lines(),
            ["ID           SIZE  PATH", "ab12cd34  1.0 KiB  /ä", "ü            12 B"]
        );
    }
}
