//! Lines of CSV as Kafka's tools export offsets and read them back.

/// A cell between quotes where Kafka puts them: when it is long or has a character below `-`.
pub(crate) fn cell(text: &str) -> String {
    const CHARACTERS_CHECKED_MAX: usize = 24;
    if text.chars().count() > CHARACTERS_CHECKED_MAX || text.chars().any(|c| c < '-') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// The cells of a line, without quotes and blanks around them.
pub(crate) fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut in_quotes = false;
    let mut characters = line.trim().chars().peekable();
    while let Some(c) = characters.next() {
        let Some(cell) = cells.last_mut() else { break };
        match c {
            '"' if in_quotes && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' => in_quotes = !in_quotes,
            ',' if !in_quotes => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_odd_cells_are_quoted() {
        assert_eq!(cell("envios.v1-a_b"), "envios.v1-a_b");
        assert_eq!(cell("a-topic-name-of-24-letter"), "\"a-topic-name-of-24-letter\"");
        assert_eq!(cell("my \"group\""), "\"my \"\"group\"\"\"");
        for text in ["plain", "a-topic-name-of-more-than-24-letters", "a,\"b\""] {
            assert_eq!(cells(&format!("{},1", cell(text))), [text, "1"]);
        }
        assert_eq!(cells(" t , 0,5 "), ["t", "0", "5"]);
    }
}
