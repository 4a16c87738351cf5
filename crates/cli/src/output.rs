//! Tables for people, JSON and YAML for programs, and times as people say them.

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde::Serialize;

use crate::{Error, Format};

/// Prints rows under headings, or the values behind them.
pub(crate) fn print<T: Serialize>(
    format: Format,
    headings: &[&str],
    rows: Vec<Vec<String>>,
    values: &T,
) -> Result<(), Error> {
    let text = match format {
        Format::Table | Format::Wide => table(headings, rows),
        Format::Json => serde_json::to_string_pretty(values).map_err(|_| Error::Output("JSON"))?,
        Format::Yaml => serde_yaml::to_string(values).map_err(|_| Error::Output("YAML"))?,
    };
    println!("{}", text.trim_end());
    Ok(())
}

fn table(headings: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.iter().copied());
    table.add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// `4s ago`, or `in 56s`.
pub(crate) fn relative(time: Timestamp, now: Timestamp) -> String {
    let seconds = time.duration_since(now).as_secs();
    if seconds > 0 { format!("in {}", span(seconds)) } else { format!("{} ago", span(-seconds)) }
}

/// Two units at most, as kubectl writes ages.
fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m{}s", seconds / 60, seconds % 60),
        7_200..172_800 => format!("{}h{}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_relative_to_now() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |seconds: i64| relative(Timestamp::from_second(1_000_000 + seconds).unwrap(), now);
        assert_eq!(at(-4), "4s ago");
        assert_eq!(at(56), "in 56s");
        assert_eq!(at(-7_260), "2h1m ago");
    }
}
