//! Decimals as FHIR writes them, exact to the last digit.

use super::*;

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn text(result: Result<Decimal, DecimalError>) -> String {
    result.map_or_else(|error| error.code().to_owned(), |value| value.to_string())
}

#[test]
fn a_number_is_written_back_with_its_own_places() {
    for (written, expected) in [
        ("1.0", "1.0"),
        ("-0.50", "-0.50"),
        ("0", "0"),
        ("-0", "0"),
        ("0.000", "0.000"),
        ("1.2e-3", "0.0012"),
        ("1.20E+1", "12.0"),
        ("1e2", "100"),
        ("1e-10", "0.0000000001"),
        (
            "99999999999999999999999999999999999999",
            "99999999999999999999999999999999999999",
        ),
    ] {
        assert_eq!(text(Decimal::parse(written)), expected, "{written}");
    }
}

#[test]
fn what_is_no_json_number_is_refused() {
    for written in [
        "", "-", "+1", "01", "1.", ".5", "1e", "1e+", "1.0.0", "0x1", " 1", "1 ", "NaN", "1e5x",
    ] {
        assert_eq!(
            Decimal::parse(written),
            Err(DecimalError::NotANumber),
            "{written}"
        );
    }
}

#[test]
fn digits_are_never_dropped_silently() {
    for written in [
        "999999999999999999999999999999999999999",
        "1e38",
        "1e400",
        "1e-401",
        "1e99999999999999999999",
    ] {
        assert_eq!(
            Decimal::parse(written),
            Err(DecimalError::OutOfRange),
            "{written}"
        );
    }
    let largest = decimal("99999999999999999999999999999999999999");
    assert_eq!(text(largest.plus(decimal("1"))), "DEC-002");
    assert_eq!(text(largest.times(largest)), "DEC-002");
    assert_eq!(text(largest.plus(decimal("0.1"))), "DEC-002");
}

#[test]
fn zeros_at_the_end_give_way_where_the_result_would_not_fit() {
    let long = decimal("1000000000000000000.0000000000000000000");
    assert_eq!(text(long.times(long)), "1000000000000000000000000000000000000");
    assert_eq!(text(long.plus(decimal("0.00000000000000000001"))), "DEC-002");
    assert_eq!(
        text(decimal("10.0000000000000000000000000000000000").plus(decimal("1e30"))),
        "1000000000000000000000000000010"
    );
}

#[test]
fn sums_and_products_are_exact() {
    assert_eq!(text(decimal("0.1").plus(decimal("0.2"))), "0.3");
    assert_eq!(text(decimal("1.50").plus(decimal("1"))), "2.50");
    assert_eq!(text(decimal("1").minus(decimal("1.001"))), "-0.001");
    assert_eq!(text(decimal("1.5").times(decimal("-2.0"))), "-3.00");
}

#[test]
fn a_quotient_is_exact_or_rounded_to_28_digits() {
    assert_eq!(text(decimal("1").divided_by(decimal("8"))), "0.125");
    assert_eq!(text(decimal("4.0").divided_by(decimal("2.00"))), "2");
    assert_eq!(
        text(decimal("-1").divided_by(decimal("3"))),
        "-0.3333333333333333333333333333"
    );
    assert_eq!(
        text(decimal("2").divided_by(decimal("3"))),
        "0.6666666666666666666666666667"
    );
    assert_eq!(text(decimal("1").divided_by(decimal("0.001"))), "1000");
    assert_eq!(text(decimal("1").divided_by(decimal("0.0"))), "DEC-003");
    let (wide, wider) = (
        "12345678901234567890123456789012345678",
        "98765432109876543210987654321098765432",
    );
    assert_eq!(
        text(decimal(wide).divided_by(decimal(wider))),
        "0.1249999988609375000142382812"
    );
}

#[test]
fn whole_division_cuts_towards_zero_and_the_rest_has_the_dividends_sign() {
    assert_eq!(text(decimal("5.5").whole_divided_by(decimal("0.7"))), "7");
    assert_eq!(text(decimal("5.5").remainder_by(decimal("0.7"))), "0.6");
    assert_eq!(text(decimal("-5").whole_divided_by(decimal("2"))), "-2");
    assert_eq!(text(decimal("-5").remainder_by(decimal("2"))), "-1");
    assert_eq!(text(decimal("5").remainder_by(decimal("0"))), "DEC-003");
}

#[test]
fn comparison_is_by_value_and_always_has_an_answer() {
    assert_eq!(decimal("1.0"), decimal("1.000"));
    assert!(decimal("0.30000000000000000001") > decimal("0.3"));
    assert!(decimal("-2") < decimal("-1.999"));
    assert!(decimal("1e-400") < decimal("99999999999999999999999999999999999999"));
    assert!(decimal("-1e37") < decimal("-1e-400"));
    assert_eq!(decimal("0.00").cmp(&decimal("-0")), Ordering::Equal);
}

#[test]
fn flooring_and_ceiling_go_outwards() {
    assert_eq!(text(decimal("1.5865").floor_to(2)), "1.58");
    assert_eq!(text(decimal("-1.5875").floor_to(2)), "-1.59");
    assert_eq!(text(decimal("1.5875").ceil_to(2)), "1.59");
    assert_eq!(text(decimal("-1.5865").ceil_to(2)), "-1.58");
    assert_eq!(text(decimal("1.5").ceil_to(3)), "1.500");
    assert_eq!(text(decimal("1e-400").ceil_to(0)), "1");
    assert_eq!(text(decimal("1e-400").floor_to(0)), "0");
}

#[test]
fn doubles_are_the_nearest_ones() {
    for written in [
        "0.1",
        "42.36",
        "-71.05773362163411",
        "123456789012345678901234567890",
        "1e-300",
        "5e-324",
    ] {
        assert_eq!(
            decimal(written).to_f64(),
            written.parse::<f64>().unwrap(),
            "{written}"
        );
    }
    assert_eq!(decimal("2.0").to_i64(), Some(2));
    assert_eq!(decimal("2.5").to_i64(), None);
}
