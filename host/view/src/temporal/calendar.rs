//! Days and dates of the Gregorian calendar, extended backwards to year 1.

/// Days from 0001-01-01 to 1970-01-01.
const EPOCH: i32 = 719_162;
const DAYS_IN_400_YEARS: i32 = 146_097;
const DAYS_IN_100_YEARS: i32 = 36_524;
const DAYS_IN_4_YEARS: i32 = 1461;

pub(crate) fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// How many days a month has, none for a month that is not 1 to 12.
pub(crate) fn days_in_month(year: u16, month: u8) -> u8 {
    match month {
        2 => 28 + u8::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

/// Days since 1970-01-01 of a valid date.
pub(super) fn days(year: u16, month: u8, day: u8) -> i32 {
    const BEFORE: [u16; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let past = i32::from(year) - 1;
    let before_year = past * 365 + past / 4 - past / 100 + past / 400;
    let before_month = BEFORE
        .get(usize::from(month.saturating_sub(1)))
        .copied()
        .unwrap_or(0);
    let leap_day = i32::from(month > 2 && is_leap(year));
    before_year + i32::from(before_month) + leap_day + i32::from(day) - 1 - EPOCH
}

/// The year, month and day that lie this many days after 1970-01-01. Years before 1 are zero and negative.
pub(super) fn date(days: i32) -> (i32, u8, u8) {
    let days = i64::from(days) + i64::from(EPOCH);
    let cycle = days.div_euclid(i64::from(DAYS_IN_400_YEARS)) as i32;
    let rest = days.rem_euclid(i64::from(DAYS_IN_400_YEARS)) as i32;
    // The last day of a cycle, or of four years, would fall into a hundred, or a year, too many.
    let hundreds = (rest / DAYS_IN_100_YEARS).min(3);
    let rest = rest - hundreds * DAYS_IN_100_YEARS;
    let fours = rest / DAYS_IN_4_YEARS;
    let rest = rest % DAYS_IN_4_YEARS;
    let ones = (rest / 365).min(3);
    let in_cycle = hundreds * 100 + fours * 4 + ones + 1;
    let (month, day) = day_of_year(in_cycle as u16, rest - ones * 365);
    (cycle * 400 + in_cycle, month, day)
}

fn day_of_year(year: u16, mut rest: i32) -> (u8, u8) {
    let mut month = 1;
    while month < 12 && rest >= i32::from(days_in_month(year, month)) {
        rest -= i32::from(days_in_month(year, month));
        month += 1;
    }
    (month, rest as u8 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_ten_thousand_years_is_counted_and_found_again() {
        let mut expected = -EPOCH;
        for year in 1..=9999u16 {
            for month in 1..=12 {
                for day in [1, days_in_month(year, month)] {
                    let counted = days(year, month, day);
                    assert_eq!(date(counted), (i32::from(year), month, day));
                }
                assert_eq!(days(year, month, 1), expected);
                expected += i32::from(days_in_month(year, month));
            }
        }
    }

    #[test]
    fn days_outside_the_written_years_have_a_date_too() {
        assert_eq!(date(-EPOCH - 1), (0, 12, 31));
        assert_eq!(date(2_932_897), (10_000, 1, 1));
    }

    #[test]
    fn centuries_are_leap_years_every_fourth_time() {
        assert!(is_leap(2000) && is_leap(2024) && !is_leap(1900) && !is_leap(2023));
    }
}
