//! The nearest word to a misspelt one.

/// The nearest candidate, if one is near enough that it was probably meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let limit = match word.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        6..=9 => 2,
        _ => 3,
    };
    candidates
        .filter(|candidate| *candidate != word)
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The candidates as a list for a message, cut after a dozen.
pub(crate) fn list<'a>(candidates: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = candidates.collect();
    let more = names.len() > 12;
    names.truncate(12);
    let mut text = names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    if more {
        text.push_str(", …");
    }
    text
}

/// Edits (insert, drop, replace, swap neighbours) from one word to the other.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let width = right.len() + 1;
    let mut table = vec![0_usize; (left.len() + 1) * width];
    for row in 0..=left.len() {
        for column in 0..=right.len() {
            table[row * width + column] = cell(&table, width, (row, column), &left, &right);
        }
    }
    table[left.len() * width + right.len()]
}

fn cell(
    table: &[usize],
    width: usize,
    (row, column): (usize, usize),
    left: &[char],
    right: &[char],
) -> usize {
    if row == 0 || column == 0 {
        return row + column;
    }
    let at = |row: usize, column: usize| table[row * width + column];
    let changed = usize::from(left[row - 1] != right[column - 1]);
    let mut best = (at(row - 1, column) + 1)
        .min(at(row, column - 1) + 1)
        .min(at(row - 1, column - 1) + changed);
    let swapped =
        row > 1 && column > 1 && left[row - 1] == right[column - 2] && left[row - 2] == right[column - 1];
    if swapped {
        best = best.min(at(row - 2, column - 2) + 1);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_misspelt_word_finds_its_neighbour_and_a_strange_one_does_not() {
        let words = ["birthDate", "name", "gender", "forEach"];
        let near = |word| nearest(word, words.into_iter());
        assert_eq!(near("birthdate"), Some("birthDate"));
        assert_eq!(near("brithDate"), Some("birthDate"));
        assert_eq!(near("nmae"), Some("name"));
        assert_eq!(near("foreach"), Some("forEach"));
        assert_eq!(near("jurisdiction"), None);
    }
}
