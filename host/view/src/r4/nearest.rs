//! Which known name a misspelt one was probably meant to be.

/// The candidate that takes the fewest slips to reach from `name`, letter case aside; the first of equals.
/// None when even that takes more than a third of the name, which would be a guess.
pub(super) fn nearest(name: &str, candidates: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let name: Vec<char> = name.chars().take(128).flat_map(char::to_lowercase).collect();
    let allowed = (name.len() / 3).max(1);
    candidates
        .map(|candidate| (slips(&name, candidate), candidate))
        .filter(|(slips, _)| *slips <= allowed)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// How many letters are missing, superfluous, wrong or swapped with their neighbour.
fn slips(name: &[char], candidate: &str) -> usize {
    let candidate: Vec<char> = candidate.chars().flat_map(char::to_lowercase).collect();
    let width = candidate.len() + 1;
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..width).collect();
    for (row, letter) in name.iter().enumerate() {
        let mut current = Vec::with_capacity(width);
        current.push(row + 1);
        for (column, other) in candidate.iter().enumerate() {
            let wrong = above[column] + usize::from(letter != other);
            let mut least = wrong.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && name[row - 1] == *other && *letter == candidate[column - 1] {
                least = least.min(before[column - 1] + 1);
            }
            current.push(least);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[width - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_count_missing_superfluous_wrong_and_swapped_letters() {
        let count = |name: &str, candidate| slips(&name.chars().collect::<Vec<_>>(), candidate);
        assert_eq!(count("gender", "gender"), 0);
        assert_eq!(count("gendr", "gender"), 1);
        assert_eq!(count("gendder", "gender"), 1);
        assert_eq!(count("gander", "gender"), 1);
        assert_eq!(count("gedner", "gender"), 1);
        assert_eq!(count("", "id"), 2);
    }

    #[test]
    fn a_far_name_is_no_suggestion() {
        assert_eq!(nearest("quux", ["gender", "name"].into_iter()), None);
        assert_eq!(nearest("nam", ["gender", "name"].into_iter()), Some("name"));
    }
}
