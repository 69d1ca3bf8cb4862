//! Decimal numbers as FHIR means them: exact, and `1.0` is not written `1`.
//!
//! A [`Decimal`] is up to 38 digits and a scale (how many of them are decimal places). Results keep the scale that
//! the operation gives them; comparison is by value. Nothing is rounded unless the operation says so, and a result
//! that does not fit is an error, never a nearby number.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

const MAX_DIGITS: u32 = 38;
/// One more than the largest mantissa.
const LIMIT: u128 = 10u128.pow(MAX_DIGITS);
/// More decimal places than any finite double can tell apart from zero.
const MAX_SCALE: u32 = 400;
/// How many digits a quotient that does not end is rounded to.
const QUOTIENT_DIGITS: u32 = 28;

/// Why a text is no [`Decimal`], or an operation has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// The text is not a JSON number.
    #[error("not a number as JSON writes them [DEC-001]")]
    NotANumber,
    /// The number needs more than 38 digits, or more than 400 decimal places.
    #[error("number needs more than 38 digits or 400 decimal places [DEC-002]")]
    OutOfRange,
    /// Division by zero.
    #[error("division by zero [DEC-003]")]
    DivisionByZero,
}

impl DecimalError {
    /// The stable code of this error.
    pub fn code(self) -> &'static str {
        match self {
            DecimalError::NotANumber => "DEC-001",
            DecimalError::OutOfRange => "DEC-002",
            DecimalError::DivisionByZero => "DEC-003",
        }
    }
}

/// An exact decimal number that remembers how many decimal places it was written with.
///
/// `==` and ordering are by value (`1.0 == 1.00`); [`Display`](fmt::Display) writes all places, without exponent.
/// Negative zero is zero.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    /// Of magnitude below `LIMIT`.
    mantissa: i128,
    /// At most `MAX_SCALE`.
    scale: u32,
}

impl Decimal {
    /// Zero, without decimal places.
    pub const ZERO: Decimal = Decimal {
        mantissa: 0,
        scale: 0,
    };

    /// Reads a number as JSON writes it, exponent included: `1.50`, `-3`, `1.2e-3`.
    ///
    /// Decimal places are kept (`1.50` has two); an exponent moves the point, so `1.2e-3` is `0.0012` and `1e2` is
    /// `100`.
    pub fn parse(text: &str) -> Result<Decimal, DecimalError> {
        let written = Written::read(text.as_bytes()).ok_or(DecimalError::NotANumber)?;
        written.value()
    }

    /// `mantissa` divided by ten to the power of `scale`: `new(150, 2)` is `1.50`.
    pub fn new(mantissa: i128, scale: u32) -> Result<Decimal, DecimalError> {
        let mut value = Decimal { mantissa, scale };
        while value.mantissa.unsigned_abs() >= LIMIT || value.scale > MAX_SCALE {
            value = value.without_last_zero().ok_or(DecimalError::OutOfRange)?;
        }
        Ok(value)
    }

    /// How many decimal places the number is written with.
    pub fn scale(self) -> u32 {
        self.scale
    }

    /// Whether the number is zero, however written.
    pub fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Whether the number is whole: `2.0` is.
    pub fn is_whole(self) -> bool {
        self.trimmed().scale == 0
    }

    /// The number as an integer when it is whole and fits.
    pub fn to_i64(self) -> Option<i64> {
        let trimmed = self.trimmed();
        if trimmed.scale == 0 {
            i64::try_from(trimmed.mantissa).ok()
        } else {
            None
        }
    }

    /// The double nearest to the number.
    pub fn to_f64(self) -> f64 {
        const EXACT: u128 = 1 << 53;
        // Mantissa and divisor are both exact doubles here, so their quotient is rounded once, as it should be.
        if self.mantissa.unsigned_abs() <= EXACT && self.scale <= 22 {
            return self.mantissa as f64 / 10f64.powi(self.scale.cast_signed());
        }
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The same value with as few decimal places as it needs.
    pub fn trimmed(self) -> Decimal {
        if self.mantissa == 0 {
            return Decimal::ZERO;
        }
        let mut trimmed = self;
        while let Some(shorter) = trimmed.without_last_zero() {
            trimmed = shorter;
        }
        trimmed
    }

    fn without_last_zero(self) -> Option<Decimal> {
        let droppable = self.scale > 0 && self.mantissa % 10 == 0;
        droppable.then(|| Decimal {
            mantissa: self.mantissa / 10,
            scale: self.scale - 1,
        })
    }

    /// The greatest number of `scale` decimal places that is not above this one; zeros are added where it has fewer.
    pub fn floor_to(self, scale: u32) -> Result<Decimal, DecimalError> {
        self.snapped(scale, i128::div_euclid)
    }

    /// The least number of `scale` decimal places that is not below this one; zeros are added where it has fewer.
    pub fn ceil_to(self, scale: u32) -> Result<Decimal, DecimalError> {
        self.snapped(scale, |mantissa, unit| -(-mantissa).div_euclid(unit))
    }

    fn snapped(self, scale: u32, divide: impl Fn(i128, i128) -> i128) -> Result<Decimal, DecimalError> {
        if scale >= self.scale {
            return self.padded(scale);
        }
        // A unit beyond the range is larger than any mantissa, and so is the largest unit within it.
        let unit = 10i128.pow((self.scale - scale).min(MAX_DIGITS));
        Decimal::new(divide(self.mantissa, unit), scale)
    }

    /// The same value with more decimal places.
    fn padded(self, scale: u32) -> Result<Decimal, DecimalError> {
        let factor = 10i128.checked_pow(scale.saturating_sub(self.scale));
        let factor = if self.mantissa == 0 { Some(0) } else { factor };
        let mantissa = factor.and_then(|factor| self.mantissa.checked_mul(factor));
        match mantissa {
            Some(mantissa) if mantissa.unsigned_abs() < LIMIT && scale <= MAX_SCALE => {
                Ok(Decimal { mantissa, scale })
            }
            _ => Err(DecimalError::OutOfRange),
        }
    }

    /// The sum, with the larger of the two scales.
    pub fn plus(self, other: Decimal) -> Result<Decimal, DecimalError> {
        let (one, two, scale) = self.aligned(other)?;
        Decimal::new(one + two, scale)
    }

    /// The difference, with the larger of the two scales.
    pub fn minus(self, other: Decimal) -> Result<Decimal, DecimalError> {
        self.plus(other.negated())
    }

    /// The product, with the sum of the two scales (fewer, if only zeros at the end do not fit).
    pub fn times(self, other: Decimal) -> Result<Decimal, DecimalError> {
        match self.mantissa.checked_mul(other.mantissa) {
            Some(mantissa) => Decimal::new(mantissa, self.scale + other.scale),
            None => {
                let (one, two) = (self.trimmed(), other.trimmed());
                let mantissa = one
                    .mantissa
                    .checked_mul(two.mantissa)
                    .ok_or(DecimalError::OutOfRange)?;
                Decimal::new(mantissa, one.scale + two.scale)
            }
        }
    }

    /// The quotient: exact where it ends within 28 digits, otherwise rounded to 28 digits, half away from zero.
    pub fn divided_by(self, other: Decimal) -> Result<Decimal, DecimalError> {
        if other.is_zero() {
            return Err(DecimalError::DivisionByZero);
        }
        let negative = self.mantissa.is_negative() != other.mantissa.is_negative();
        let (one, two) = (self.trimmed(), other.trimmed());
        let quotient = Quotient::of(one.mantissa.unsigned_abs(), two.mantissa.unsigned_abs());
        let magnitude = i128::try_from(quotient.digits).map_err(|_| DecimalError::OutOfRange)?;
        let mantissa = if negative { -magnitude } else { magnitude };
        // The point moves left by the dividend's places and right by the divisor's.
        let places = one.scale + quotient.places;
        if places >= two.scale {
            return Decimal::new(mantissa, places - two.scale);
        }
        let factor = 10i128
            .checked_pow(two.scale - places)
            .ok_or(DecimalError::OutOfRange)?;
        Decimal::new(mantissa.checked_mul(factor).ok_or(DecimalError::OutOfRange)?, 0)
    }

    /// The quotient without what follows the point, as FHIRPath's `div` gives it.
    pub fn whole_divided_by(self, other: Decimal) -> Result<Decimal, DecimalError> {
        let (one, two, _) = self.aligned(other)?;
        Decimal::new(one.checked_div(two).ok_or(DecimalError::DivisionByZero)?, 0)
    }

    /// What [`whole_divided_by`](Decimal::whole_divided_by) leaves over, with the sign of the dividend, as FHIRPath's `mod` gives it.
    pub fn remainder_by(self, other: Decimal) -> Result<Decimal, DecimalError> {
        let (one, two, scale) = self.aligned(other)?;
        Decimal::new(one.checked_rem(two).ok_or(DecimalError::DivisionByZero)?, scale)
    }

    /// The number with the other sign.
    pub fn negated(self) -> Decimal {
        Decimal {
            mantissa: -self.mantissa,
            scale: self.scale,
        }
    }

    /// Both mantissas at one scale; zeros at the end are given up before that fails.
    fn aligned(self, other: Decimal) -> Result<(i128, i128, u32), DecimalError> {
        let at_one_scale = |one: Decimal, two: Decimal| {
            let scale = one.scale.max(two.scale);
            Ok((one.padded(scale)?.mantissa, two.padded(scale)?.mantissa, scale))
        };
        at_one_scale(self, other).or_else(|_: DecimalError| at_one_scale(self.trimmed(), other.trimmed()))
    }

    /// How many digits stand before the point; negative when zeros follow it.
    fn magnitude(self) -> i64 {
        let digits = self
            .mantissa
            .unsigned_abs()
            .checked_ilog10()
            .map_or(0, |log| log + 1);
        i64::from(digits) - i64::from(self.scale)
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        let signs = self.mantissa.signum().cmp(&other.mantissa.signum());
        if signs != Ordering::Equal || self.mantissa == 0 {
            return signs;
        }
        let magnitudes = self.magnitude().cmp(&other.magnitude());
        if magnitudes != Ordering::Equal {
            return if self.mantissa < 0 {
                magnitudes.reverse()
            } else {
                magnitudes
            };
        }
        // With as many digits before the point in both, filling up the shorter one cannot overflow.
        let fill =
            |value: &Decimal, scale: u32| value.mantissa * 10i128.pow(scale.saturating_sub(value.scale));
        fill(self, other.scale).cmp(&fill(other, self.scale))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Decimal) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl std::hash::Hash for Decimal {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let trimmed = self.trimmed();
        (trimmed.mantissa, trimmed.scale).hash(state);
    }
}

impl From<i64> for Decimal {
    fn from(value: i64) -> Decimal {
        Decimal {
            mantissa: i128::from(value),
            scale: 0,
        }
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Decimal, DecimalError> {
        Decimal::parse(text)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let scale = self.scale as usize;
        let digits = format!("{:0width$}", self.mantissa.unsigned_abs(), width = scale + 1);
        let (whole, places) = digits.split_at(digits.len() - scale);
        let point = if places.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{places}")
    }
}

/// A number's text, taken apart.
struct Written<'a> {
    negative: bool,
    whole: &'a [u8],
    places: &'a [u8],
    exponent: i64,
}

impl<'a> Written<'a> {
    fn read(text: &'a [u8]) -> Option<Written<'a>> {
        let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
        let (whole, text) = digits(text)?;
        if whole.len() > 1 && whole.starts_with(b"0") {
            return None;
        }
        let (places, text) = match text.strip_prefix(b".") {
            Some(text) => digits(text)?,
            None => (&text[..0], text),
        };
        let exponent = match text {
            [] => 0,
            [b'e' | b'E', exponent @ ..] => read_exponent(exponent)?,
            _ => return None,
        };
        Some(Written {
            negative,
            whole,
            places,
            exponent,
        })
    }

    fn value(&self) -> Result<Decimal, DecimalError> {
        let mut magnitude: u128 = 0;
        for digit in self.whole.iter().chain(self.places) {
            // Below the limit at each step, the next one cannot overflow.
            if magnitude >= LIMIT / 10 {
                return Err(DecimalError::OutOfRange);
            }
            magnitude = magnitude * 10 + u128::from(digit - b'0');
        }
        let scale = i64::try_from(self.places.len())
            .unwrap_or(i64::MAX)
            .saturating_sub(self.exponent);
        if magnitude == 0 {
            let scale = u32::try_from(scale.clamp(0, i64::from(MAX_SCALE))).unwrap_or(MAX_SCALE);
            return Decimal::new(0, scale);
        }
        let mantissa = i128::try_from(magnitude).map_err(|_| DecimalError::OutOfRange)?;
        let mantissa = if self.negative { -mantissa } else { mantissa };
        if let Ok(scale) = u32::try_from(scale) {
            return Decimal::new(mantissa, scale);
        }
        let factor = u32::try_from(scale.saturating_neg())
            .ok()
            .and_then(|zeros| 10i128.checked_pow(zeros));
        let mantissa = factor
            .and_then(|factor| mantissa.checked_mul(factor))
            .ok_or(DecimalError::OutOfRange)?;
        Decimal::new(mantissa, 0)
    }
}

/// The digits at the start, at least one, and what follows them.
fn digits(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// An exponent; one too long for its type is as good as the largest there is.
fn read_exponent(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (digits, rest) = digits(text)?;
    if !rest.is_empty() {
        return None;
    }
    let push = |value: i64, digit: &u8| value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
    let exponent = digits.iter().fold(0i64, push);
    Some(if negative { -exponent } else { exponent })
}

/// The digits of a quotient and how many of them follow the point.
struct Quotient {
    digits: u128,
    places: u32,
}

impl Quotient {
    /// Long division of magnitudes below `LIMIT`; `divisor` is not zero.
    fn of(dividend: u128, divisor: u128) -> Quotient {
        let mut digits = dividend / divisor;
        let mut rest = dividend % divisor;
        let mut places = 0;
        while rest != 0 && digits < 10u128.pow(QUOTIENT_DIGITS - 1) && places < MAX_SCALE {
            let (digit, left) = Quotient::next_digit(rest, divisor);
            digits = digits * 10 + digit;
            rest = left;
            places += 1;
        }
        if rest >= divisor - rest {
            digits += 1;
        }
        Quotient { digits, places }
    }

    /// `rest * 10` divided by `divisor`, by adding, since the product may not fit. `rest` is below `divisor`.
    fn next_digit(rest: u128, divisor: u128) -> (u128, u128) {
        let (mut digit, mut left) = (0, 0);
        for _ in 0..10 {
            left += rest;
            if left >= divisor {
                left -= divisor;
                digit += 1;
            }
        }
        (digit, left)
    }
}

#[cfg(test)]
mod tests;
