//! The forms of dates and moments that nearly all data has, read at once.
//!
//! What is not of such a form, valid or not, is left to the full reader.

use super::calendar;

/// Days since 1970-01-01 of `YYYY-MM-DD`.
pub(crate) fn quick_days(text: &str) -> Option<i32> {
    days(text.as_bytes().try_into().ok()?)
}

/// Microseconds since 1970-01-01T00:00:00Z of `YYYY-MM-DDThh:mm:ss`, perhaps a fraction, and a zone; further digits are
/// cut.
pub(crate) fn quick_micros(text: &str) -> Option<i64> {
    let (date, rest) = text.as_bytes().split_first_chunk()?;
    let ([sign, time @ ..], rest) = rest.split_first_chunk::<9>()?;
    let days = days(date)?;
    let (hour, minute, second) = (
        two(time[0], time[1])?,
        two(time[3], time[4])?,
        two(time[6], time[7])?,
    );
    let is_shaped = *sign == b'T' && time[2] == b':' && time[5] == b':';
    if !is_shaped || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (micros, zone) = fraction(rest)?;
    let minutes = i64::from(days) * 1440 + i64::from(hour * 60 + minute) - offset(zone)?;
    Some((minutes * 60 + i64::from(second)) * 1_000_000 + micros)
}

fn days(date: &[u8; 10]) -> Option<i32> {
    let (century, years) = (two(date[0], date[1])?, two(date[2], date[3])?);
    let (year, month, day) = (
        century * 100 + years,
        two(date[5], date[6])?,
        two(date[8], date[9])?,
    );
    let is_shaped = date[4] == b'-' && date[7] == b'-';
    let last = calendar::days_in_month(year, month as u8);
    let exists = year > 0 && day > 0 && day <= u16::from(last);
    (is_shaped && exists).then(|| calendar::days(year, month as u8, day as u8))
}

/// The number that two digits are.
fn two(tens: u8, ones: u8) -> Option<u16> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then_some(u16::from(tens) * 10 + u16::from(ones))
}

/// Microseconds of the digits behind a point, if there is one, and what follows them.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.', digits @ ..] = text else {
        return Some((0, text));
    };
    let (mut micros, mut unit, mut length) = (0, 100_000, 0);
    while let Some(digit @ b'0'..=b'9') = digits.get(length) {
        micros += i64::from(digit - b'0') * unit;
        unit /= 10;
        length += 1;
    }
    (length > 0).then(|| (micros, &digits[length..]))
}

/// Minutes east of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            let offset = i64::from(hours * 60 + minutes);
            let is_zone = minutes <= 59 && offset <= 14 * 60;
            is_zone.then_some(if sign == b'+' { offset } else { -offset })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{quick_days, quick_micros};
    use crate::temporal::{Date, DateTime};

    /// What is read quickly is what the full reader reads.
    fn agree(text: &str) {
        if let Some(days) = quick_days(text) {
            assert_eq!(Date::parse(text).map(Date::to_days), Ok(days), "{text}");
        }
        if let Some(micros) = quick_micros(text) {
            assert_eq!(
                DateTime::parse(text).map(DateTime::to_micros),
                Ok(micros),
                "{text}"
            );
        }
    }

    #[test]
    fn common_forms_are_read_quickly_and_alike() {
        for text in [
            "1970-01-01",
            "2024-02-29",
            "0001-01-01",
            "9999-12-31",
            "1900-02-28",
        ] {
            assert!(quick_days(text).is_some(), "{text}");
            agree(text);
        }
        for text in [
            "2015-02-07T13:28:17Z",
            "2015-02-07T13:28:17-05:00",
            "2015-02-07T13:28:17.239+02:00",
            "2024-12-31T23:59:59.999999999Z",
            "1969-12-31T23:59:59.5+14:00",
            "0001-01-01T00:00:00-14:00",
        ] {
            assert!(quick_micros(text).is_some(), "{text}");
            agree(text);
        }
    }

    #[test]
    fn whatever_changes_in_a_moment_it_is_read_alike_or_left() {
        let mut left = 0;
        for text in [
            "2015-02-28T13:28:17.23+02:00",
            "2016-12-31T23:59:59Z",
            "2023-02-28",
        ] {
            for place in 0..text.len() {
                for sign in "0123456789-:.TZ+ x/;".chars() {
                    let mut changed = text.to_owned();
                    changed.replace_range(place..=place, sign.encode_utf8(&mut [0; 4]));
                    agree(&changed);
                    left += usize::from(
                        quick_days(&changed)
                            .or(quick_micros(&changed).map(|_| 0))
                            .is_none(),
                    );
                }
                agree(&text[..place]);
            }
        }
        assert!(left > 500, "{left} are left to the full reader");
    }
}
